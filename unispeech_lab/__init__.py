"""UniSpeech Lab: the workbench in which people look inside a speech model."""

__version__ = "0.1.0"
