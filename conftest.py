"""Notebooks that are tested train a tenth of their steps; what they show was made by ``make notebooks``, with all."""

import os

os.environ.setdefault("UNISPEECH_LAB_FAST", "1")  # the kernels inherit it
