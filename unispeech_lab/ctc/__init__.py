"""CTC read backwards: from scores of every class at every frame to labels, or to the frames of labels already known.

    greedy    the best class of each frame, collapsed
    viterbi   the best path that spells given labels (forced alignment)

Scores are (t, v) or (b, t, v), numpy or torch; labels are ints; ``blank`` is the class that says nothing.
"""

from unispeech_lab.ctc.collapse import collapse, greedy
from unispeech_lab.ctc.forced import STAR, Path, viterbi

__all__ = ["STAR", "Path", "collapse", "greedy", "viterbi"]
