"""Places: which of a model's layers, heads or codewords a recipe means.

"3"        the fourth layer, counted from 0            "3.5"      head 5 of layer 3;  group 3, codeword 5
"50%"      half way up: 0% is the first, 100% the last "50%.0"    head 0 of the layer half way up
"*"        every layer                                 "*.*"      every head;  every codeword
"projection"  before the encoder (for phones alone)
"""

import re

WRITTEN = r"\*|\d+|\d+(?:\.\d+)?%"


def written(place: str, parts: int) -> bool:
    """Whether this is how a place of one part (a layer) or of two (a head, a codeword) is written."""
    return bool(re.fullmatch(WRITTEN if parts == 1 else rf"(?:{WRITTEN})\.(?:\*|\d+)", place))


def split(place: str) -> tuple[str, str]:
    """``"50%.2"`` to ``("50%", "2")``, ``"33.3%.*"`` to ``("33.3%", "*")``."""
    one, _, other = place.rpartition(".")
    return one, other


def numbers(part: str, count: int, what: str) -> list[int]:
    """Which of so many a part of a place means.

    Raises:
        ValueError: one that there is not, saying which there are.
    """
    if part == "*":
        return list(range(count))
    if part.endswith("%"):
        share = float(part[:-1]) / 100
        if not share <= 1:
            raise ValueError(f"expected {what} from 0% to 100% of the way up, found {part}")
        return [round(share * (count - 1))]
    if int(part) >= count:
        found = f"expected {what} among 0 to {count - 1}, as many as this model has, found {part}"
        raise ValueError(f'{found}: write "*" for each, or "50%" for half way up')
    return [int(part)]
