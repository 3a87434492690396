"""The door for phones: names of a model's CTC classes, chances of its alignments, from the files beside its weights."""

from functools import cached_property
from pathlib import Path

from transformers import Wav2Vec2PhonemeCTCTokenizer, Wav2Vec2Processor

from unispeech_lab.alignment.calibration import NAME, Calibration
from unispeech_lab.doors.errors import CheckpointError
from unispeech_lab.doors.hub import find_file, reach
from unispeech_lab.vocabulary import Vocabulary


class NamesPhones:
    """The door for phones: a model loaded from a folder, or from the hub, knows the names of its CTC classes."""

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """Names of the CTC classes; None where no ``vocab.json`` lies beside the weights, or there is no CTC head.

        Raises:
            ValueError: ``vocab.json`` is no vocabulary, or names another number of classes than the head has.
        """
        classes = {"UniSpeechForPreTraining": "num_ctc_classes", "UniSpeechForCTC": "vocab_size"}
        kinds = (kind.__name__ for kind in type(self).__mro__)  # a variant's model is one of these, too
        size = next((getattr(self.config, classes[kind]) for kind in kinds if kind in classes), None)
        where = self.config.name_or_path
        file = find_file(where, "vocab.json", reach(where, {})) if where and size else None
        if file is None:
            return None
        vocabulary = Vocabulary.load(file)
        if len(vocabulary) != size:
            raise ValueError(f"expected {size} classes, as the CTC head has, found {len(vocabulary)} names in {file}")
        return vocabulary

    @cached_property
    def calibration(self) -> Calibration | None:
        """Scores as ``align`` gives them to chances; None where no ``calibration.json`` lies beside the weights.

        Raises:
            ValueError: it is none.
        """
        where = self.config.name_or_path
        file = find_file(where, NAME, reach(where, {})) if where else None
        return None if file is None else Calibration.load(file)

    @property
    def processor(self) -> Wav2Vec2Processor:
        """Sound to inputs, CTC classes to phones: ``model.processor(waveform)``, ``model.processor.batch_decode(ids)``.

        Raises:
            CheckpointError: no vocabulary lies beside the weights.
        """
        vocabulary = self.vocabulary
        if vocabulary is None:
            raise CheckpointError(
                f"expected vocab.json beside the weights, found none at {self.config.name_or_path or 'no folder'!r}: "
                "vocabulary.save(folder) writes one; model.prepare(waveforms) needs none"
            )
        file = find_file(self.config.name_or_path, "vocab.json", reach(self.config.name_or_path, {}))
        return Wav2Vec2Processor(self.feature_extractor_settings(), tokenizer(file, vocabulary))


def tokenizer(file: Path, vocabulary: Vocabulary) -> Wav2Vec2PhonemeCTCTokenizer:
    """transformers' own, over ``vocab.json``: the blank is its padding, as its decoding wants; no phonemizer."""
    return Wav2Vec2PhonemeCTCTokenizer(
        str(file),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token=vocabulary[vocabulary.blank],
        word_delimiter_token=None,
        do_phonemize=False,
    )
