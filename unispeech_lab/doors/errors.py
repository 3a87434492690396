"""The error of a checkpoint that cannot be used."""


class CheckpointError(OSError, ValueError):
    """A checkpoint that cannot be what it is asked to be."""
