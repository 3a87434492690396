"""App: the explorer in a browser, without a notebook or a line of code."""

from unispeech_lab.app.server import serve

__all__ = ["serve"]
