"""CTC read backwards: from scores of every class at every frame to labels, or to the frames of labels already known.

    greedy         the best class of each frame, collapsed
    beam_search    the labels whose paths are likeliest all together; a language model may have its say
    viterbi        the best path that spells given labels (forced alignment)

Scores are (t, v) or (b, t, v), numpy or torch; labels are ints; ``blank`` is the class that says nothing.
"""

from unispeech_lab.ctc.arpa import Arpa
from unispeech_lab.ctc.beam import Hypothesis, beam_search
from unispeech_lab.ctc.collapse import collapse, greedy
from unispeech_lab.ctc.forced import STAR, Path, viterbi

__all__ = ["STAR", "Arpa", "Hypothesis", "Path", "beam_search", "collapse", "greedy", "viterbi"]
