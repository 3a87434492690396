"""The layers of UniSpeech, one concept a file."""
