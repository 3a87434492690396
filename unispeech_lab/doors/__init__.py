"""Doors: what a model takes in from outside, checked before it goes further.

Each is a mixin of the models. An error at a door says what was expected, what was found, what to type.
"""

from .errors import CheckpointError
from .languages import SpeaksLanguages
from .phones import NamesPhones
from .quiet import SavesQuietly
from .sound import Prepares
from .weights import ReadsCheckpoints

__all__ = ["CheckpointError", "NamesPhones", "Prepares", "ReadsCheckpoints", "SavesQuietly", "SpeaksLanguages"]
