"""The sources of speech, one file each: ``corpora.load("librispeech", folder)`` finds it by reading this folder."""
