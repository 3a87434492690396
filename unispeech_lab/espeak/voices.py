"""Voices: which of espeak-ng's are used, under their exact names.

Exact, because a near name (``fr-fr``, ``en-gb``, ``zh``) is refused by espeak-ng in silence: the voice before stays on.
"""

LANGUAGES = {  # the eleven of the paper
    "en": "gmw/en-US",
    "es": "roa/es",
    "fr": "roa/fr",
    "it": "roa/it",
    "ky": "trk/ky",
    "nl": "gmw/nl",
    "ru": "zle/ru",
    "sv": "gmq/sv",
    "tr": "trk/tr",
    "tt": "trk/tt",
    "zh": "sit/cmn",
}

# fmt: off
# Variants whose stop closures are digital silence, whose peaks stay below full scale, who do not whisper.
VARIANTS = (
    "Alex", "Andrea", "Annie", "Denis", "Diogo", "Henrique", "Hugo", "Lee", "Mario", "Michael", "Mike", "Nguyen",
    "anika", "aunty", "belinda", "boris", "croak", "f1", "grandma", "grandpa", "ian", "iven3", "iven4",
    "kaukovalta", "linda", "m1", "m3", "m4", "m5", "m6", "m7", "m8", "marcelo", "max", "michel", "miguel", "quincy",
    "rob", "robert", "shelby", "steph", "travis", "victor", "zac",
)

# The Klatt synthesiser sounds like another machine: held out, to test how far a model generalises.
KLATT = ("klatt", "klatt2", "klatt3", "klatt4", "klatt5", "klatt6")

# An echo fills the closures with sound, so their phone times would be wrong.
ECHO = (
    "Alicia", "Demonic", "Marco", "RicishayMax", "RicishayMax2", "RicishayMax3", "UniRobot", "anikaRobot",
    "announcer", "f2", "f3", "f4", "f5", "m2", "pablo", "robosoft", "robosoft2", "robosoft3", "robosoft4",
    "robosoft5", "robosoft6", "robosoft7", "robosoft8",
)
# fmt: on


def voice(language: str, variant: str = "") -> str:
    """The exact identifier: ``voice("en", "f1")`` is ``gmw/en-US+f1``.

    Raises ValueError for a language not listed, and for a variant with an echo.
    """
    if language not in LANGUAGES:
        raise ValueError(f"expected a language among {' '.join(LANGUAGES)}, found {language!r}")
    if variant in ECHO:
        raise ValueError(
            f"expected a voice without echo, found {variant!r}: its echo fills the stop closures, so phone times "
            f"would be wrong; take one of {' '.join((*VARIANTS, *KLATT))}"
        )
    return LANGUAGES[language] + (f"+{variant}" if variant else "")
