"""The paper's experiment, to be run by anyone: does UniSpeech transfer across languages better than its parents?"""
