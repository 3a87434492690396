"""Seeds: one number for each place where something is drawn, so that no place depends on what was drawn before it."""

import hashlib

import torch


def seed_of(*place) -> int:
    """The first 63 bits of SHA-256 of a place's name: ``seed_of(seed, "epoch", 3)``."""
    name = "/".join(map(str, place))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def generator_of(*place) -> torch.Generator:
    """A generator on the CPU that begins at ``seed_of(*place)``."""
    return torch.Generator().manual_seed(seed_of(*place))
