"""Variants: one battery over the folder, then what each of them claims."""

import math
from copy import deepcopy

import pytest
import torch
from models import assert_near
from test_wav2vec2 import theirs
from torch.nn import functional as F

import unispeech_lab
from unispeech_lab import Corpus, UniSpeechConfig, UniSpeechForPreTraining, load, record, variants
from unispeech_lab.batches import Batches
from unispeech_lab.checkpoints import CheckpointError
from unispeech_lab.objective import AUTHORS
from unispeech_lab.pretrain import Settings, train
from unispeech_lab.seeds import generator_of
from unispeech_lab.variants import Variant, dead_code_revival, finite_scalar, phone_aware_negatives
from unispeech_lab.vocabulary import Vocabulary

every_variant = pytest.mark.parametrize("name", variants.names())

CORPUS = Corpus.bundled().where(language="en")[:6]
VOCABULARY = Vocabulary.of(CORPUS)
SETTINGS = Settings(steps=6, batch_seconds=6, save_every=3, log_every=1, validate_every=100)

ALONE = {"wav2vec2": ("ctc_proj.",), "supervised": ("quantizer.", "project_")}  # what gets no gradient


def config(**changes):
    """Smaller than the tiny one still."""
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "conv_dim": [16] * 7,
        "conv_bias": True,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 4,
        "num_codevectors_per_group": 8,
        "codevector_dim": 16,
        "proj_codevector_dim": 16,
        "num_ctc_classes": len(VOCABULARY),
        "num_negatives": 20,
        "mask_time_prob": 0.3,
        "mask_time_length": 5,
    }
    return UniSpeechConfig(**{**sizes, **changes})


def model_of(variant, seed=0, **changes):
    torch.manual_seed(seed)
    variant = variants.load(variant) if isinstance(variant, str) else variant
    return variant.model(config(**changes)).train()


@pytest.fixture(scope="module")
def batch():
    """Two utterances of English, padded."""
    extract = UniSpeechForPreTraining(config()).feature_extractor_settings()
    made = Batches(CORPUS[:2], VOCABULARY, extract, config().frames, shuffle=False)[0]
    return {name: x for name, x in made.items() if isinstance(x, torch.Tensor)}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# The battery


@every_variant
def test_is_a_file_with_a_sentence(name):
    variant = variants.load(name)
    assert variant.name == name and type(variant).__module__.endswith(f"variants.{name}")
    assert len(variant.description) > 30 and variant.description in repr(variant)


@every_variant
def test_learns_a_batch_by_heart(name, batch):
    variant = variants.load(name)
    model = model_of(variant)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for step in range(30):
        variant.before(model, step, 30)
        loss = model(**batch, generator=seeded()).loss  # the same masks, noise and negatives each time
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        variant.after(model, step, 30)
        losses.append(loss.item())
    assert all(map(math.isfinite, losses))
    assert sum(losses[-5:]) < 0.95 * sum(losses[:5])  # more codewords come into use meanwhile: a harder task


@every_variant
def test_gradients_are_where_they_should_be(name, batch):
    variant = variants.load(name)
    model = model_of(variant)
    variant.before(model, 3, 6)
    model(**batch, generator=seeded()).loss.backward()
    touched = {name for name, w in model.named_parameters() if w.grad is not None and w.grad.abs().max() > 0}
    untouched = {weight for weight in dict(model.named_parameters()) if weight.startswith(ALONE.get(name, "none"))}
    assert bool(untouched) == (name in ALONE)
    assert touched == set(dict(model.named_parameters())) - untouched


@every_variant
def test_terms_are_those_of_its_weights(name, batch):
    variant = variants.load(name)
    output = model_of(variant)(**batch, generator=seeded())
    terms = {"ctc", "contrastive", "diversity"}
    terms -= {"wav2vec2": {"ctc"}, "supervised": {"contrastive", "diversity"}, "finite_scalar": {"diversity"}}.get(
        name, set()
    )
    assert output.terms.keys() == terms


@every_variant
def test_goes_to_disk_and_back(name, batch, tmp_path):
    variant = variants.load(name)
    model = model_of(variant)
    model(**batch)
    model.save_pretrained(tmp_path)
    again = variants.load(name).from_pretrained(tmp_path)
    assert again.objective == model.objective and type(again.quantizer) is type(model.quantizer)
    expected = model.eval()(**batch, generator=seeded())
    found = again.eval()(**batch, generator=seeded())
    assert torch.equal(found.loss, expected.loss) and torch.equal(found.ctc_logits, expected.ctc_logits)
    if variant.architecture is UniSpeechForPreTraining:
        weights = model.state_dict()
        plain = load(tmp_path).state_dict()
        assert all(torch.equal(value, weights[key]) for key, value in plain.items())


@every_variant
def test_killed_after_five_steps_ends_as_if_never_killed(name, tmp_path):
    """Its last checkpoint is of step 3: whatever it remembers must be in there."""
    whole = model_of(name)
    run = train(
        whole, CORPUS, tmp_path / "whole", SETTINGS, vocabulary=VOCABULARY, variant=variants.load(name), progress=False
    )

    def kill(row):
        if row["step"] == 5:
            raise RuntimeError("killed")

    parts = {"vocabulary": VOCABULARY, "progress": False}
    with pytest.raises(RuntimeError, match="killed"):
        train(model_of(name), CORPUS, tmp_path / "parts", SETTINGS, variant=variants.load(name), watch=kill, **parts)
    model = model_of(name, seed=1)
    again = train(model, CORPUS, tmp_path / "parts", SETTINGS, variant=variants.load(name), **parts)
    expected = whole.state_dict()
    assert model.state_dict().keys() == expected.keys()
    assert [key for key, value in model.state_dict().items() if not torch.equal(value, expected[key])] == []
    assert again.table["loss"].tolist() == run.table["loss"].tolist() and len(run.table) == 6
    assert run.settings["variant"] == name


@every_variant
def test_can_be_looked_into(name, batch):
    model = model_of(name)
    with record(model, "quantizer.codes", "mask", "replaced", "project_hid", "ctc_proj") as trace:
        output = model(**batch, generator=seeded())
    (codes,) = (trace[key] for key in trace if key.endswith("codes"))
    assert torch.equal(codes, output.codes) and codes.dtype == torch.long and codes.shape[-1] == 2
    assert codes.min() >= 0 and codes.max() < model.config.num_codevectors_per_group
    assert torch.equal(trace["unispeech.mask"], output.mask_time_indices)
    assert torch.equal(trace["replaced"], output.replaced)
    assert 2 <= output.codevector_perplexity <= 2 * model.config.num_codevectors_per_group


@every_variant
def test_nothing_is_drawn_in_eval(name, batch):
    model = model_of(name).eval()
    inputs = {key: batch[key] for key in ("input_values", "attention_mask")}
    with torch.no_grad():
        first, second = model(**inputs), model(**inputs)
    assert torch.equal(first.codes, second.codes) and torch.equal(first.projected_states, second.projected_states)
    if name != "authors":  # theirs draws replacements there too
        assert torch.equal(first.ctc_logits, second.ctc_logits)


# The door


def test_an_unknown_name_and_its_nearest():
    with pytest.raises(KeyError, match=r"expected one of the variants authors, .* found 'wav2vec'.*mean 'wav2vec2'\?"):
        variants.load("wav2vec")


def test_a_setting_that_no_config_has():
    class Misspelt(Variant):
        changes = {"alfa": 0.1}

    with pytest.raises(ValueError, match="variant Misspelt: expected settings of UniSpeechConfig, found alfa"):
        Misspelt().config(config())


def test_what_the_config_says_holds():
    model = model_of("unispeech", alpha=0.3, replace_prob=0.2, diversity_loss_weight=0.4)
    assert (model.objective.alpha, model.config.replace_prob) == (0.3, 0.2)
    assert model.objective.weights["diversity"] == 0.4


def test_the_config_given_stays_as_it_is():
    given = config()
    changed = variants.load("wav2vec2").config(given)
    assert (given.alpha, changed.alpha) == (0.5, 0.0)


def test_a_variant_of_ones_own(tmp_path):
    class Warmer(Variant):
        """A softmax twice as warm."""

        changes = {"contrastive_logits_temperature": 0.2}
        steps = []

        def before(self, model, step, steps):
            self.steps.append((step, steps))

    warmer = Warmer()
    model = model_of(warmer)
    settings = Settings(steps=2, batch_seconds=6)
    run = train(model, CORPUS, tmp_path, settings, vocabulary=VOCABULARY, variant=warmer, progress=False)
    assert run.settings["variant"] == "Warmer" and warmer.description == "A softmax twice as warm."
    assert model.objective.temperature == 0.2 and warmer.steps == [(0, 2), (1, 2)]


def test_a_stage_goes_on_from_the_one_before(tmp_path):
    """The paper's second: contrast alone on other speech, from the weights of the first."""
    first = model_of("unispeech")
    first.save_pretrained(tmp_path)
    second = variants.load("wav2vec2").from_pretrained(tmp_path)
    assert second.objective.alpha == second.config.alpha == 0
    second.save_pretrained(tmp_path / "second")
    third = variants.load("equal_negatives").from_pretrained(tmp_path / "second")
    assert (third.objective.alpha, third.config.replace_prob, third.objective.equal_negatives) == (0.5, 0.5, "kept")
    assert torch.equal(second.ctc_proj.weight, first.ctc_proj.weight)


def test_a_stage_begins_from_wav2vec2(tmp_path):
    """Of transformers' own class: UniSpeech continued from XLSR, its CTC head yet to learn."""
    other = theirs("ForPreTraining")
    other.save_pretrained(tmp_path)
    model = variants.load("dead_code_revival").from_pretrained(tmp_path, num_ctc_classes=9)
    assert model.objective.alpha == model.config.alpha == 0.5 and model.ctc_proj.out_features == 9
    assert torch.equal(model.quantizer.codevectors, other.quantizer.codevectors)


def test_weights_of_another_shape(tmp_path):
    model_of("unispeech").save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="expected the shapes of UniSpeechFiniteScalar under this config"):
        variants.load("finite_scalar").from_pretrained(tmp_path)


# What each claims


def half_labelled():
    """The first half with its phones, the other without."""
    known = Corpus.bundled().where(language="en")[:6]
    known.table.loc[3:, "phones"] = ""
    return known


@pytest.mark.parametrize(("name", "utterances"), [("unispeech", 3), ("supervised", 3), ("authors", 3)])
def test_some_learn_from_labelled_speech_alone(name, utterances):
    assert list(variants.load(name).corpus(half_labelled()).table["id"]) == list(CORPUS[:utterances].table["id"])


def test_speech_without_phones_is_not_what_they_learn_from():
    silent = CORPUS[:2]
    silent.table["phones"] = "|"
    with pytest.raises(ValueError, match=r"expected utterances with phones, found none in .*: .*the variant wav2vec2"):
        variants.load("unispeech").corpus(silent)
    assert len(variants.load("wav2vec2").corpus(silent)) == 2


def test_a_variants_model_names_its_phones_and_says_how_it_is_loaded(tmp_path):
    made = {"num_codevectors_per_group": 64, "num_ctc_classes": len(VOCABULARY)}
    model_of("finite_scalar", **made).save_pretrained(tmp_path)
    VOCABULARY.save(tmp_path)
    assert variants.load("finite_scalar").from_pretrained(tmp_path).vocabulary == VOCABULARY
    with pytest.raises(CheckpointError, match=r"FiniteScalar: .*variants.load\(variant\).from_pretrained"):
        unispeech_lab.load(tmp_path)


def test_unispeech_plus_mixes_speech_with_and_without_phones(tmp_path):
    plus = variants.load("unispeech_plus")
    corpus = plus.corpus(half_labelled())
    assert len(corpus) == 6
    model = model_of(plus)
    extract = model.feature_extractor_settings()
    mixed = Batches(corpus, VOCABULARY, extract, model.frames, shuffle=False)[0]
    has = (mixed["labels"] >= 0).any(1)
    assert has.any() and not has.all()
    given = {name: x for name, x in mixed.items() if isinstance(x, torch.Tensor)}
    output = model(**given, generator=seeded())
    none = model(**{**given, "labels": None}, generator=seeded())
    assert none.terms.keys() == {"contrastive", "diversity"} and "ctc" in output.terms
    assert output.loss > 0.5 * output.terms["ctc"] + 0.5 * none.loss  # those without labels count in full


def test_authors_are_the_authors():
    objective = model_of("authors").objective
    assert {name: getattr(objective, name) for name in AUTHORS} == AUTHORS
    assert model_of("authors").config.mask_rule == "authors"


def test_spans_are_spans_and_as_frequent_as_single_frames():
    model = model_of("span_replacement", replace_prob=0.5)
    c = torch.zeros(40, 500, 1)
    for share in (0.5, 0.2):
        model.config.replace_prob = share
        replaced = model.draw_replaced(c, seeded())
        assert replaced.float().mean().item() == pytest.approx(share, abs=0.03)
        assert replaced[:, :5].float().mean().item() == pytest.approx(share, abs=0.12)  # the first frames as well
        for row in replaced:
            lengths = torch.tensor(
                [len(run) for run in "".join("01"[int(x)] for x in row).strip("1").split("0") if run]
            )
            assert lengths.min() >= 5
    model.config.replace_prob = 1.0
    assert model.draw_replaced(c, seeded()).all()
    model.config.replace_prob = 0.0
    assert not model.draw_replaced(c, seeded()).any()
    model.config.replace_prob = 0.5
    assert not model.eval().draw_replaced(c, seeded()).any()


def test_a_copy_draws_spans_of_its_own():
    model = model_of("span_replacement")
    twin = deepcopy(model)
    twin.config.replace_prob = 0.0
    c = torch.zeros(2, 50, 1)
    assert not twin.draw_replaced(c).any() and model.draw_replaced(c).any()


def test_replacement_follows_its_schedule(tmp_path):
    model = model_of("replacement_schedule")
    variant = variants.load("replacement_schedule")
    run = train(model, CORPUS, tmp_path, SETTINGS, vocabulary=VOCABULARY, variant=variant, progress=False)
    assert run.table["replace"].tolist() == pytest.approx([0, 1 / 6, 1 / 3, 0.5, 0.5, 0.5])


def test_diversity_anneals(batch):
    variant = variants.load("diversity_anneal")
    model = model_of(variant)
    for step, weight in ((0, 0.1), (5, 0.05), (9, 0.01)):
        variant.before(model, step, 10)
        output = model(**batch, generator=seeded())
        without = 0.5 * output.terms["ctc"] + 0.5 * output.terms["contrastive"]
        assert_near(output.loss, without + 0.5 * weight * output.terms["diversity"], 1e-6)


def test_equal_negatives_make_collapse_the_hardest_task(batch):
    """One codeword for every frame: k + 1 candidates, all alike."""
    losses = {}
    for name in ("unispeech", "equal_negatives"):
        model = model_of(name)
        with torch.no_grad():
            model.quantizer.weight_proj.weight.zero_()
            model.quantizer.weight_proj.bias[::8] = 100.0
        losses[name] = model(**batch, generator=seeded()).terms["contrastive"].item()
    assert losses["unispeech"] == 0
    assert losses["equal_negatives"] == pytest.approx(math.log(21), rel=1e-4)


class TestPhoneAwareNegatives:
    def test_phones_of_the_nearest_frame(self):
        blank, said = 9, torch.tensor([[9, 1, 9, 9, 2, 9, 3, 9], [9, 9, 9, 9, 9, 9, 4, 4], [9, 9, 9, 9, 9, 9, 9, 9]])
        speech = torch.ones(3, 8, dtype=torch.bool)
        speech[1, 6:] = False
        found = phone_aware_negatives.nearest_phones(said, speech, blank).tolist()
        assert found == [[1, 1, 1, 2, 2, 2, 3, 3], [-1] * 8, [-1] * 8]

    def drawn(self, batch, spell):
        """The negatives of a forward whose CTC head spells what ``spell`` (b, t) says, and the phones."""
        model = model_of("phone_aware_negatives")
        frames = model.frames.count(batch["input_values"].shape[1])
        said = spell(frames)
        logits = F.one_hot(said, len(VOCABULARY)).float()
        with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(model.ctc_proj, "forward", lambda h: 10 * logits)
            return model(**batch, generator=seeded()), said

    def test_never_share_the_phone(self, batch):
        output, said = self.drawn(
            batch, lambda frames: torch.arange(frames).div(4, rounding_mode="floor").expand(2, -1) % 7
        )
        negatives, hidden = output.sampled_negative_indices, output.mask_time_indices
        wanted = negatives[..., 0] >= 0
        assert wanted.any() and (hidden | ~wanted).all()
        theirs, own = said.flatten()[negatives[wanted]], said[wanted][:, None]
        assert (theirs != own).all()
        assert len(set(theirs.flatten().tolist())) == 7
        utterance = negatives // said.shape[1]
        assert (utterance == torch.arange(2)[:, None, None])[wanted].all()

    def test_blank_says_nothing(self, batch):
        """All blank, or one phone alone: any other frame of speech, never the frame itself."""
        for spoken in (VOCABULARY.blank, 3):
            output, said = self.drawn(batch, lambda frames, spoken=spoken: torch.full((2, frames), spoken))
            negatives = output.sampled_negative_indices
            wanted = negatives[..., 0] >= 0
            assert wanted.sum() == output.sample_size
            frame = torch.arange(said.numel()).view(2, -1, 1)
            assert (negatives != frame)[wanted].all()
            assert len(negatives[wanted].unique()) > 100


class TestFiniteScalar:
    def quantizer(self, codewords=320, groups=2):
        made = config(num_codevectors_per_group=codewords, num_codevector_groups=groups)
        return finite_scalar.FiniteScalarQuantizer(made)

    @pytest.mark.parametrize(
        ("codewords", "levels"),
        [(3, (3,)), (8, (8,)), (16, (4, 4)), (64, (8, 8)), (240, (8, 6, 5)), (320, (8, 8, 5)), (1000, (8, 5, 5, 5))],
    )
    def test_levels(self, codewords, levels):
        """Every grid point can be reached, none beyond; 240 and 1000 as in the paper's table 1."""
        assert finite_scalar.levels_of(codewords) == levels and math.prod(levels) == codewords
        quantizer = self.quantizer(codewords)
        x = torch.linspace(-6, 6, 4001)[:, None].expand(-1, len(levels))
        rounded = quantizer.bound(x).round()
        for column, level in zip(rounded.T, levels, strict=True):
            assert sorted(column.int().unique().tolist()) == list(range(-(level // 2), (level - 1) // 2 + 1))
        assert quantizer.bound(torch.zeros(1, len(levels))).abs().max() < 1e-6

    @pytest.mark.parametrize("codewords", [1, 2, 10, 22])
    def test_a_number_without_levels(self, codewords):
        with pytest.raises(ValueError, match=f"a product of numbers from 3 to 8, found {codewords}: try 64"):
            finite_scalar.levels_of(codewords)

    def test_codes_are_the_grid_points(self):
        """Two frames have the same codes exactly where they have the same vectors, group by group."""
        quantizer = self.quantizer(24, groups=2)
        said = quantizer(torch.randn(3, 200, 16, generator=seeded()))
        assert said.codes.shape == (3, 200, 2) and said.vectors.shape == (3, 200, 2 * 2)
        for group, points in enumerate(said.vectors.unflatten(-1, (2, 2)).unbind(2)):
            codes = said.codes[..., group].flatten()
            table = torch.stack([points.flatten(0, 1)[codes == code][0] for code in codes.unique()])
            assert len(table.unique(dim=0)) == len(table) == 24
            for code, point in zip(codes.unique(), table, strict=True):
                assert (points.flatten(0, 1)[codes == code] == point).all()

    def test_the_gradient_passes_straight_through(self):
        quantizer = self.quantizer(64).eval()
        z = torch.randn(1, 5, 16, generator=seeded(), requires_grad=True)
        weights = torch.randn(1, 5, 4, generator=seeded(1))
        (quantizer(z).vectors * weights).sum().backward()
        found, z.grad = z.grad, None
        values = quantizer.bound(quantizer.standardise(quantizer.weight_proj(z).unflatten(-1, (2, 2)), None)) / 4
        (values.flatten(-2) * weights).sum().backward()
        assert_near(found, z.grad, 1e-6)
        assert found.abs().max() > 0

    def test_perplexity_is_of_its_codes(self):
        quantizer = self.quantizer(8)
        z = torch.randn(2, 50, 16, generator=seeded())
        speech = torch.ones(2, 50, dtype=torch.bool)
        speech[1, 10:] = False
        said = quantizer(z, speech)
        shares = F.one_hot(said.codes[speech], 8).float().mean(0)
        expected = sum(math.exp(torch.special.entr(row).sum()) for row in shares)
        assert said.prob_perplexity.item() == said.code_perplexity.item() == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
    def test_no_scale_of_its_projection_collapses_it(self, scale):
        """Every dimension has mean 0 and variance 1 over the speech of a batch; padding is left out."""
        quantizer = self.quantizer(64)
        with torch.no_grad():
            quantizer.weight_proj.weight *= scale
            quantizer.weight_proj.bias += 100.0 * scale
        z, speech = torch.randn(2, 400, 16, generator=seeded()), torch.ones(2, 400, dtype=torch.bool)
        speech[1, 100:] = False
        z[~speech] = 50.0
        x = quantizer.standardise(quantizer.weight_proj(z).unflatten(-1, (2, 2)), speech)[speech]
        assert x.mean(0).abs().max() < 1e-2 and (x.var(0) - 1).abs().max() < 0.2
        assert quantizer(z, speech).code_perplexity > 60
        assert quantizer.codes(quantizer(z, speech).codes)[speech].unique().numel() > 40

    def test_in_eval_by_running_means(self):
        quantizer, z = self.quantizer(64), 5 + torch.randn(3, 300, 16, generator=seeded())
        for _ in range(100):
            trained = quantizer(z)
        again = quantizer.eval()(z)
        assert (again.codes == trained.codes).float().mean() > 0.99
        assert torch.equal(quantizer(z[:1]).codes, again.codes[:1])  # whatever else is in the batch

    def test_the_model_has_its_shape(self):
        model = model_of("finite_scalar", num_codevectors_per_group=64)
        assert model.config.codevector_dim == model.project_q.in_features == 4
        assert not any("codevectors" in name for name in model.state_dict())


class TestDeadCodeRevival:
    def killed(self, name):
        """A model half of whose codewords no frame will choose."""
        model = model_of(name)
        with torch.no_grad():
            model.quantizer.weight_proj.bias.view(2, 8)[:, 4:] -= 1000.0
        return model

    def chosen(self, model, batch):
        with torch.no_grad():
            codes = model(**batch, generator=seeded()).codes
        return [set(group.flatten().tolist()) for group in codes.unbind(-1)]

    def test_dead_codes_come_back(self, batch):
        variant = variants.load("dead_code_revival")
        model = self.killed("dead_code_revival")
        assert not any(group & {4, 5, 6, 7} for group in self.chosen(model, batch))
        z = model.quantizer.heard.clone()[None]
        for step in range(300):
            with torch.no_grad():
                model.quantizer(z)
            variant.after(model, step, 300)
        assert all(len(group & {4, 5, 6, 7}) >= 3 for group in self.chosen(model, batch))

    def test_digital_silence_revives_none_with_nan(self):
        variant, model = variants.load("dead_code_revival"), self.killed("dead_code_revival")
        model.quantizer.usage.zero_()
        assert not model.quantizer.heard.zero_().any()
        variant.after(model, 0, 10)
        assert all(weight.isfinite().all() for weight in model.state_dict().values())

    def test_those_in_use_are_left_alone(self, batch):
        variant, model = variants.load("dead_code_revival"), model_of("dead_code_revival")
        before = {name: value.clone() for name, value in model.named_parameters()}
        self.chosen(model, batch)
        variant.after(model, 0, 10)
        assert all(torch.equal(value, before[name]) for name, value in model.named_parameters())
        model.quantizer.usage[1, 6] = 0.0
        variant.after(model, 1, 10)
        changed = (model.quantizer.weight_proj.weight != before["quantizer.weight_proj.weight"]).any(1)
        words = (model.quantizer.codevectors[0] != before["quantizer.codevectors"][0]).any(1)
        assert changed.nonzero().tolist() == words.nonzero().tolist() == [[8 + 6]]
        assert model.quantizer.usage[1, 6].item() == pytest.approx(1 / 8)

    def test_it_wins_at_the_frame_it_began_from(self, batch):
        variant, model = variants.load("dead_code_revival"), self.killed("dead_code_revival")
        self.chosen(model, batch)
        model.quantizer.usage[0, 5] = 0.0
        frame = torch.randint(8, (1,), generator=generator_of("dead_code_revival", 4))
        variant.after(model, 4, 10)
        z = model.quantizer.heard[frame]
        logits = model.quantizer.weight_proj(z).view(2, 8)[0]
        assert logits.argmax() == 5
        others = torch.cat([logits[:5], logits[6:]])
        assert (logits[5] - others.max().clamp(min=0)).item() == pytest.approx(1.0, rel=1e-3)

    def test_usage_is_of_speech_in_training(self, batch):
        quantizer = dead_code_revival.CountingQuantizer(config()).train()
        z, speech = torch.randn(2, 30, 16, generator=seeded()), torch.ones(2, 30, dtype=torch.bool)
        speech[0, 10:] = False
        said = quantizer(z, speech, generator=seeded(1))
        shares = F.one_hot(said.codes[speech], 8).float().mean(0)
        assert_near(quantizer.usage, 0.98 / 8 + 0.02 * shares, 1e-6)
        kept = quantizer.usage.clone()
        quantizer.eval()(z, speech)
        assert torch.equal(quantizer.usage, kept)
