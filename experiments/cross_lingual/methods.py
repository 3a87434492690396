"""Methods: what is learned before the target language is, by name, in the order of the paper's Table 1.

stage 1   the source languages, by a variant of pretraining          (nothing for ``scratch``)
stage 2   the target's unlabelled speech, by contrast alone          (the methods with a ``+``)
stage 3   a little labelled speech of the target, by CTC             (all alike)
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Method:
    """One row of the table. ``paper`` is its row in the paper's Table 1, ``""`` where that has none.

    ``variant`` and ``changes`` (settings of the config) decide stage 1; ``plus``: there is a stage 2; ``after``: the
    method whose stage 1 its own goes on from; ``share``: for how much of a stage 1's steps.
    """

    name: str
    variant: str = ""
    changes: dict = field(default_factory=dict)
    plus: bool = False
    after: str = ""
    share: float = 1.0
    paper: str = ""

    @property
    def first(self) -> str:
        """Whose stage 1 it goes on from: a ``+`` shares that of the method without."""
        return self.name.removesuffix("+")


UNISPEECH = {"alpha": 0.5, "replace_prob": 0.5}
TABLE = (
    Method("scratch"),
    Method("supervised", "supervised", paper="CTC-Transfer"),
    Method("wav2vec2", "wav2vec2", paper="XLSR"),
    Method("unispeech_r0", "unispeech", UNISPEECH | {"replace_prob": 0.0}, paper="UniSpeech, r = 0"),
    Method("unispeech", "unispeech", UNISPEECH, paper="UniSpeech"),
    Method("wav2vec2+", "wav2vec2", plus=True, paper="XLSR+"),
    Method("unispeech+", "unispeech", UNISPEECH, plus=True, paper="UniSpeech+"),
)
PROTOTYPES = (  # of variants/; finite_scalar, whose codebook is of another kind, goes on from nobody's
    "phone_aware_negatives",
    "equal_negatives",
    "span_replacement",
    "replacement_schedule",
    "diversity_anneal",
    "dead_code_revival",
)
ABLATIONS = (
    *(Method(f"alpha_{a:g}", "unispeech", UNISPEECH | {"alpha": a}) for a in (0.25, 0.75, 0.9)),
    *(Method(f"r_{r:g}", "unispeech", UNISPEECH | {"replace_prob": r}) for r in (0.25, 0.75, 1.0)),
    *(Method(f"codewords_{v}", "unispeech", UNISPEECH | {"num_codevectors_per_group": v}) for v in (16, 32, 128)),
    *(Method(name, name, UNISPEECH) for name in (*PROTOTYPES, "finite_scalar")),
    Method("supervised_twice", "supervised", after="supervised"),
    *(
        Method(f"{name}_after_supervised", name, changes, after="supervised")
        for name, changes in (("wav2vec2", {}), ("unispeech", UNISPEECH))
    ),
    # from where CTC alone has learned phones, two fifths of the steps again
    *(
        Method(f"{name}_further", variant, changes, after="supervised", share=0.4)
        for name, variant, changes in (
            ("supervised", "supervised", {}),
            ("wav2vec2", "wav2vec2", {}),
            ("unispeech", "unispeech", UNISPEECH),
            *((f"alpha_{a:g}", "unispeech", UNISPEECH | {"alpha": a}) for a in (0.25, 0.75)),
            *((f"r_{r:g}", "unispeech", UNISPEECH | {"replace_prob": r}) for r in (0.0, 1.0)),
            *((name, name, UNISPEECH) for name in PROTOTYPES),
        )
    ),
)
METHODS = {method.name: method for method in (*TABLE, *ABLATIONS)}

# Phone error rates in %, averages over eight languages: arXiv 2101.07597, Table 1.
PAPER = {
    "CTC-Transfer": 15.7,
    "XLSR": 16.4,
    "UniSpeech, r = 0": 15.3,
    "UniSpeech": 14.2,
    "XLSR+": 10.1,
    "UniSpeech+": 8.8,
}


def load(names) -> list[Method]:
    """Methods by name; the table's for none. Raises ``KeyError`` with those there are."""
    if unknown := [name for name in names if name not in METHODS]:
        raise KeyError(f"expected methods out of {', '.join(METHODS)}, found {', '.join(unknown)}")
    return [METHODS[name] for name in names] or list(TABLE)
