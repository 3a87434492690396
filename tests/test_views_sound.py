"""The views of sound and front end, on sounds, kernels and layers whose answer is constructed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import SIZES
from pictures import CHANNELS, FRAMES, PlainTrace, trace, utterance

from unispeech_lab import Frames, UniSpeechConfig, UniSpeechForPreTraining, UniSpeechModel
from unispeech_lab.analysis import filters as banks
from unispeech_lab.analysis import stimuli as sounds
from unispeech_lab.corpus import Utterance
from unispeech_lab.nn.frontend import FeatureEncoder
from unispeech_lab.trace import record
from unispeech_lab.views import load
from unispeech_lab.views.panel import figures

RATE = 16_000
stacks = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), min_size=1, max_size=4)


def encoder(kernel, stride, norm="layer", channels=4):
    torch.manual_seed(0)
    sizes = dict(conv_dim=[channels] * len(kernel), conv_kernel=kernel, conv_stride=stride)
    config = UniSpeechConfig(**SIZES | sizes, feat_extract_norm=norm, conv_bias=False)
    return FeatureEncoder(config).double().eval()


def changed(front, samples, sample):
    """For each layer the frames that one changed sample changes, found by running the front end twice."""
    wave = torch.randn(1, samples, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    louder = wave.clone()
    louder[0, sample] += 3.0
    heard = []
    for sound in (wave, louder):
        with torch.no_grad(), record(front, "conv_layers.*") as seen:
            front(sound)
        heard.append(list(seen.values()))
    return [(one != other).any(-1)[0].nonzero()[:, 0].tolist() for one, other in zip(*heard, strict=True)]


class TestHearing:
    @settings(max_examples=60, deadline=None)
    @given(stacks, st.integers(0, 90), st.integers(0, 10**6))
    def test_is_what_a_changed_sample_changes(self, stack, extra, place):
        """Strides that leap over samples are in it, and samples at the end that no frame reaches."""
        kernel, stride = zip(*stack, strict=True)
        frames = Frames(kernel, stride)
        samples = frames.receptive_field + extra
        sample = place % samples
        expected = changed(encoder(kernel, stride), samples, sample)
        layers = range(1, len(stack) + 1)
        assert [list(frames.up_to(k).hearing(sample, samples)) for k in layers] == expected

    @pytest.mark.parametrize("sample", [0, 399, 400, 2000, 7999])
    def test_of_the_default_strides(self, sample):
        expected = changed(encoder(FRAMES.kernel, FRAMES.stride), 8000, sample)
        assert [list(FRAMES.up_to(k).hearing(sample, 8000)) for k in range(1, 8)] == expected

    def test_nobody_hears_the_end_that_makes_no_frame(self):
        assert list(Frames().hearing(719, 719)) == [] and list(Frames().hearing(399, 719)) == [0]


class TestReach:
    view = load("reach")

    def panels(self, sample, samples=16_000):
        return self.view.panels(trace(samples), utterance(samples), moment=sample / RATE)

    def test_bright_boxes_are_what_the_frames_that_hear_it_hear(self):
        sample = 8000
        _, close, _ = self.panels(sample)
        boxes = close.marks[0]
        first = sample - FRAMES.receptive_field  # the sample in the first column
        middle = [float(boxes.x[0] + (k + 0.5) / 801 * (boxes.x[1] - boxes.x[0])) for k in (0, 400, 800)]
        assert middle == pytest.approx([-25, 0, 25])
        for conv in range(7):
            frames = FRAMES.up_to(conv + 1)
            rows = np.array([name == f"conv {conv}" for name in boxes.rows])
            lit = [set(np.flatnonzero(row) + first) for row in boxes.kinds[rows] == 2 if row.any()]
            expected = [set(range(*frames.samples(k))) for k in frames.hearing(sample, 16_000)]
            assert {frozenset(box) for box in lit} == {frozenset(box) for box in expected}
            assert all(sample in box for box in expected)

    def test_counts_layer_by_layer(self):
        everywhere, _, table = self.panels(8000)
        (rows,) = table.marks
        assert [row[1:3] for row in rows.rows] == [(10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2]
        assert [row[3] for row in rows.rows] == pytest.approx([0.3125, 0.625, 1.25, 2.5, 5, 10, 20])
        assert [row[4] for row in rows.rows] == pytest.approx([0.625, 1.25, 2.5, 5, 10, 15, 25])
        assert rows.rows[-1] == ("conv 6", 2, 2, 20, 25, 49, CHANNELS, 2, "24–25", 2 * CHANNELS)
        units = sum(row[-1] for row in rows.rows)
        assert (
            f"{units:.0f} units in all; frames 24 to 25 of conv 6 hear it, together with 719 others" in everywhere.words
        )
        assert rows.times[-1] == pytest.approx([24 * 0.02, 25 * 0.02 + 0.025])

    def test_what_no_frame_hears(self):
        everywhere, close, table = self.panels(16_000 - 1)
        assert "no frame of conv 6 hears it" in everywhere.words and table.marks[0].rows[-1][-2:] == ("none", 0)
        assert close.marks[0].says() and tuple(table.marks[0].times[-1]) == (0, 0)

    def test_a_moment_at_the_very_end_is_the_last_sample(self):
        assert "Sample 15,999," in self.view.panels(trace(), utterance(), moment=1.0)[0].words


class TestFeatures:
    view = load("features")

    def test_a_column_knows_what_it_heard(self):
        for conv, heard in ((6, 0.0125), (4, 0.005)):
            (panel,) = self.view.panels(trace(), utterance(), conv=conv)
            assert panel.marks[0].reach == pytest.approx((heard, heard))
            assert sum(panel.marks[0].x[:1]) == pytest.approx(heard - FRAMES.up_to(conv + 1).hop / RATE / 2)

    def test_a_column_of_several_frames_heard_what_they_all_did(self):
        (panel,) = self.view.panels(trace(), utterance(), conv=0)  # 3199 frames, three a column
        (picture,) = panel.marks
        assert picture.reach == pytest.approx(((2 * 5 + 10) / RATE / 2,) * 2)
        width = (picture.x[1] - picture.x[0]) / picture.values.shape[1]
        assert width == pytest.approx(15 / RATE) and picture.x[0] == pytest.approx(2.5 / RATE)

    @pytest.mark.parametrize("conv", [6, 0])  # a column is a frame of the last, several of the first
    def test_channels_stand_by_the_frequency_that_they_follow(self, conv):
        """Bursts of three tones in turn, and channels that are loud in one of them, in none, or never move."""
        tones, burst = (3000, 300, 1000), np.arange(1600) / RATE
        silence = np.zeros(1600)
        parts = [part for hertz in tones * 2 for part in (np.sin(2 * np.pi * hertz * burst), silence)]
        heard = Utterance("bursts", np.concatenate(parts).astype(np.float32))
        frames = FRAMES.up_to(conv + 1)
        centres = frames.centre(np.arange(frames.count(len(heard.waveform))))
        part = (centres / 0.1).astype(int)
        values = np.stack([part % 6 == 2 * k for k in range(3)] + [part % 2 == 1, part < 0], axis=1).astype(np.float32)
        seen = PlainTrace({f"feature_extractor.conv_layers.{conv}": values[None]})
        (panel,) = self.view.panels(seen, heard, conv=conv)
        (picture,) = panel.marks
        assert [name.split(",")[0] for name in picture.rows] == [f"channel {k}" for k in (1, 2, 0, 3, 4)]
        hertz = [float(name.split()[-2]) for name in picture.rows[:3]]
        assert hertz == pytest.approx([300, 1000, 3000], rel=0.12)
        assert all(name.endswith("follows no frequency") for name in picture.rows[3:])
        assert np.array_equal(picture.values, self.view.pool(values, 1200)[0][:, [1, 2, 0, 3, 4]].T)
        assert "2 of them rise with no frequency" in panel.words
        assert dict(panel.y.ticks)[3.0] == "none" and dict(panel.y.ticks)[2.0] == "2"

    def test_channels_stand_by_their_loudest_moment(self):
        values = np.eye(49, dtype=np.float32)[np.random.default_rng(0).permutation(49)]
        seen = PlainTrace({"feature_extractor.conv_layers.6": values[None]})
        (panel,) = self.view.panels(seen, utterance(), conv=6, order="loudest moment")
        assert np.array_equal(panel.marks[0].values, np.eye(49))

    def test_front_ends_with_channels_first_are_turned(self):
        seen = trace()
        turned = PlainTrace({name: value.swapaxes(1, 2) for name, value in seen.items() if "conv_layers" in name})
        for conv in range(7):
            one, other = (self.view.panels(s, utterance(), conv=conv)[0] for s in (seen, turned))
            assert np.array_equal(one.marks[0].values, other.marks[0].values) and one.words == other.words


class TestConvolutions:
    view = load("convolutions")

    def test_each_layer_says_its_shapes_and_keeps_its_clock(self):
        made = self.view.panels(trace(), utterance())
        assert [panel.name for panel in made] == [f"conv_{k}" for k in range(7)]
        assert "Kernel 10, stride 5: 16,000 samples → 3,199 frames × 8 channels, one every 0.3125 ms" in made[0].words
        assert "Kernel 2, stride 2: 99 frames → 49 frames × 8 channels, one every 20 ms, hearing 25 ms" in made[6].words
        ends = [panel.marks[0].x for panel in made]
        assert ends[6] == pytest.approx((0.0025, 0.9825)) and all(start < 0.003 for start, _ in ends)

    def test_a_channel_is_held_against_itself(self):
        values = np.stack([np.tile([5.0, 7.0], 25)[:49], np.full(49, 3.0)], axis=1)
        seen = PlainTrace({"feature_extractor.conv_layers.6": values[None]})
        (panel,) = self.view.panels(seen, utterance(), order="index")
        swinging, still = panel.marks[0].values
        assert np.allclose(np.unique(swinging.round(3)), [-0.98, 1.021], atol=2e-3) and not still.any()

    def test_many_channels_share_rows(self):
        values = np.random.default_rng(0).standard_normal((1, 49, 130))
        (panel,) = self.view.panels(PlainTrace({"feature_extractor.conv_layers.6": values}), utterance(), order="index")
        (picture,) = panel.marks
        assert picture.values.shape == (44, 49) and picture.y == (0, 132) and panel.y.stop == 130
        assert picture.rows[1] == "3 channels from channel 3"


def test_thousands_are_written_out_and_named_places_told_by_name():
    assert [figures(x) for x in (8123, -1234.5, 0.03125, 999.6, 0)] == ["8,123", "-1,234", "0.0312", "1,000", "0"]
    tuning = load("stimuli").panels(trace(), utterance(), stimulus="tone", hertz=1000, conv=0, answer=trace())[2]
    assert tuning.alt().endswith("(tone 0.125 to 4 kHz).")


def test_the_waveform_alone_is_the_first_panel_of_the_waveform():
    alone, above = load("wave").panels({}, utterance())[0], load("waveform").panels({}, utterance())[0]
    assert alone.alt() == above.alt() and alone.marks[0].samples is not None


def kernels(hertz):
    """Windowed cosines (c, 10): each lets through one frequency most."""
    time = (np.arange(10) - 4.5) / RATE
    return np.hanning(12)[1:-1] * np.cos(2 * np.pi * np.asarray(hertz)[:, None] * time)


@pytest.mark.parametrize("name", ["features", "convolutions", "reach"])
def test_a_frame_that_is_not_a_number_is_left_out_and_spoils_no_other(name):
    view, seen, broken = load(name), trace(), trace()
    for key, value in broken.items():
        if "conv_layers" in key:
            value[:, value.shape[1] // 2] = np.nan
    chosen = {key: knob.default for key, knob in view.knobs(seen, utterance()).items()}
    for whole, panel in zip(*(view.panels(each, utterance(), **chosen) for each in (seen, broken)), strict=True):
        assert "nan" not in panel.alt() and panel.words.split()[:8] == whole.words.split()[:8]
        for mark, same in zip(panel.marks, whole.marks, strict=True):
            if mark.kind == "heatmap" and name != "reach":
                assert np.isnan(mark.values).any() and np.isfinite(mark.values).mean() > 0.85
                assert mark.values.shape == same.values.shape


class TestFilters:
    view = load("filters")
    hertz = np.array([5000, 2500, 3000, 6000, 4000])

    def panels(self, **given):
        seen = PlainTrace({"filters": kernels(self.hertz)[None].astype(np.float32)})
        chosen = {name: knob.default for name, knob in self.view.knobs(seen, utterance()).items()}
        return {panel.name: panel for panel in self.view.panels(seen, utterance(), **chosen | given)}

    def test_peaks_are_where_the_cosines_are(self):
        made = self.panels()
        order = np.argsort(self.hertz)
        peaks = [float(name.split()[-2]) for name in made["gains"].marks[0].columns]
        assert peaks == pytest.approx(np.sort(self.hertz), abs=130)
        assert [int(name.split()[1].strip(",")) for name in made["kernels"].marks[0].columns] == order.tolist()
        rows = made["gains"].marks[0].values.argmax(0) * 62.5
        assert rows == pytest.approx(np.array(peaks), abs=0.6)

    def test_a_click_takes_the_filter_that_stands_there(self):
        made = self.panels()
        assert made["gains"].marks[0].sets == ("place", "")
        _, dots = made["peaks"].marks
        assert dots.sets[3] == {"place": 3} and dots.chosen.tolist() == [False, False, True, False, False]
        large = self.panels(place=3)
        assert large["kernel"].title == "Filter 0" and np.allclose(large["kernel"].marks[0].y[0], kernels([5000])[0])
        assert "Peak at 5" in large["gain"].words

    def test_by_index_nothing_is_moved_and_peaks_still_rise(self):
        made = self.panels(sort="index", place=0)
        assert np.allclose(made["kernels"].marks[0].values.T, kernels(self.hertz))
        _, dots = made["peaks"].marks
        assert dots.x.tolist() == [3.5, 0.5, 1.5, 4.5, 2.5] and made["kernel"].title == "Filter 0"

    def test_gains_are_the_response_to_tones(self):
        """Against the amplitude that a long tone really comes out with."""
        (kernel,) = kernels([3000])
        hertz, decibels = banks.gains(np.stack([kernel, 2 * kernel]), 129)
        tone = np.exp(2j * np.pi * 2500 * np.arange(4000) / RATE)
        out = np.abs(np.convolve(tone, kernel, "valid")).max()
        loudest = np.abs(2 * kernel @ np.exp(-2j * np.pi * hertz[decibels[1].argmax()] * np.arange(10) / RATE))
        assert decibels[0, hertz == 2500] == pytest.approx(20 * np.log10(out / loudest), abs=1e-6)
        assert decibels.max() == 0 and decibels[1].max() - decibels[0].max() == pytest.approx(20 * np.log10(2))

    def test_the_mel_bank_is_librosas(self):
        import librosa

        assert banks.mel_bank(40) == pytest.approx(librosa.mel_frequencies(42, fmax=8000, htk=True)[1:-1])

    def test_kernels_of_any_model_that_has_them(self):
        import transformers

        config = dict(num_hidden_layers=1, hidden_size=16, num_attention_heads=2, intermediate_size=16)
        config |= dict(conv_dim=[12] * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2)
        theirs = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**config))
        ours = UniSpeechForPreTraining(UniSpeechConfig(**SIZES))
        for model, front in ((theirs, theirs.feature_extractor), (ours, ours.unispeech.feature_extractor)):
            seen = self.view.hear(model, utterance())
            weight = front.conv_layers[0].conv.weight
            assert torch.equal(seen["filters"][0], weight[:, 0]) and not seen["filters"].requires_grad
            assert self.view.panels(seen, utterance(), sort="index", place=0)

    def test_a_model_without_them_is_told(self):
        with pytest.raises(KeyError, match=r"called 'conv_layers.0.conv'"):
            self.view.hear(torch.nn.Linear(2, 2), utterance())


class TestStimuli:
    def loudest(self, sound):
        return np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound)

    @pytest.mark.parametrize("stimulus", sounds.STIMULI)
    @pytest.mark.parametrize("hertz", [100, 1000, 7500])
    def test_begins_and_ends_in_silence_and_is_as_loud_as_all(self, stimulus, hertz):
        sound = sounds.make(stimulus, hertz)
        assert sound.shape == (6400,) and sound.dtype == np.float32
        assert np.abs(sound).max() == pytest.approx(sounds.LOUD) and abs(sound[0]) < 1e-3 and abs(sound[-1]) < 0.02
        assert np.array_equal(sound, sounds.make(stimulus, hertz))

    @pytest.mark.parametrize("hertz", [125, 1000, 6300])
    def test_a_tone_is_that_frequency(self, hertz):
        assert self.loudest(sounds.make("tone", hertz)) == pytest.approx(hertz, abs=2.5)

    def test_a_chirp_ends_where_it_is_told_and_passes_every_octave_in_the_same_time(self):
        sound = sounds.make("chirp", 3200)
        found = [self.loudest(part) for part in np.split(sound, 8)]  # six octaves in eight parts
        expected = [50 * 64 ** ((k + 0.5) / 8) for k in range(8)]
        assert found[2:] == pytest.approx(expected[2:], rel=0.35) and sorted(found) == found

    def test_clicks_come_as_often_as_told(self):
        sound = sounds.make("clicks", 100)
        assert np.flatnonzero(sound[1000:5000] > 0.9 * sound.max()) + 1000 == pytest.approx(range(1120, 5000, 160))

    def test_noise_is_an_octave_of_its_own_seed(self):
        sound = sounds.make("noise", 1000)
        power = np.abs(np.fft.rfft(sound)) ** 2
        hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
        assert power[(hertz > 700) & (hertz < 1420)].sum() > 0.99 * power.sum()
        assert not np.array_equal(sound, sounds.make("noise", 1000, seed=1))

    @pytest.mark.parametrize("vowel, formants", sounds.FORMANTS.items())
    def test_a_vowel_has_its_formants_at_any_pitch(self, vowel, formants):
        for pitch in (100, 160):
            overtones = pitch * np.arange(1, int(4000 / pitch))
            heights = sounds.voice(overtones, vowel) * overtones  # without the fall of the source
            peaks = [k for k in range(1, len(heights) - 1) if heights[k] > max(heights[k - 1], heights[k + 1])]
            near = [min(abs(overtones[k] - formant) for k in peaks) for formant in formants[:2]]
            assert max(near) <= pitch
            spectrum = np.abs(np.fft.rfft(sounds.make(f"vowel {vowel}", pitch)))
            found = spectrum[(overtones * 6400 / RATE).astype(int)]
            assert found / found[0] == pytest.approx(
                sounds.voice(overtones, vowel) / sounds.voice(overtones, vowel)[0], rel=0.05, abs=1e-3
            )

    def test_refusals(self):
        with pytest.raises(KeyError, match="one of tone, chirp, clicks, noise, vowel i.*found 'hum'"):
            sounds.make("hum", 100)
        with pytest.raises(ValueError, match="between 0 and 8000 Hz, found 8000"):
            sounds.make("tone", 8000)


class TestAnswers:
    view = load("stimuli")
    hertz = np.linspace(1200, 6800, 16)

    @pytest.fixture(params=["layer", "group"])
    def model(self, request):
        torch.manual_seed(0)
        model = UniSpeechModel(UniSpeechConfig(**SIZES, feat_extract_norm=request.param, conv_bias=False)).eval()
        weight = model.feature_extractor.conv_layers[0].conv.weight
        with torch.no_grad():
            weight.copy_(torch.from_numpy(kernels(self.hertz)[:, None]))
        return model

    def panels(self, model, seen, **chosen):
        chosen = {"stimulus": "tone", "hertz": 1000, "conv": 0} | chosen
        answers = self.view.asks(seen, utterance(), chosen["stimulus"], chosen["hertz"])
        answers = {name: ask(model) for name, ask in answers.items()}
        return {panel.name: panel for panel in self.view.panels(seen, utterance(), **chosen, **answers)}

    def test_a_tone_lights_the_channels_whose_filters_peak_there(self, model):
        """Ten taps do not resolve less than 1600 Hz: what is meant by there is half of that to either side."""
        seen = self.view.hear(model, utterance())
        for hertz in (2500, 3150, 4000, 5000, 6300):
            made = self.panels(model, seen, hertz=hertz)
            (curve,) = made["answer"].marks
            channels = [int(name.split()[1].strip(",")) for name in made["course"].marks[0].rows]
            away = np.abs(self.hertz[channels] - hertz)
            assert (
                away[curve.y[0].argmax()] <= 800 and f"channel {channels[curve.y[0].argmax()]}," in made["answer"].words
            )
            assert curve.y[0, away <= 800].mean() > 1.5 * curve.y[0, away > 1600].mean()
            assert curve.y.max() > 0.5

    def test_channels_are_tuned_as_their_filters_are(self, model):
        seen = self.view.hear(model, utterance())
        tuning = seen["tuning.0"][0]
        best = np.array(sounds.HERTZ)[tuning.argmax(0)]
        octaves = np.abs(np.log2(best / self.hertz))
        assert (octaves[self.hertz >= 2000] < 0.35).all()  # one step of the ladder
        (picture,) = self.panels(model, seen)["tuning"].marks
        assert picture.sets == ("hertz", "") and picture.values.shape == (16, len(sounds.HERTZ))
        assert picture.values.max(1) == pytest.approx(1) and picture.values.min(1) == pytest.approx(0)

    @pytest.mark.parametrize("model", ["group"], indirect=True)  # layers' norms let channels compete
    def test_a_chirp_passes_the_channels_in_their_order(self, model):
        seen = self.view.hear(model, utterance())
        (picture,) = self.panels(model, seen, stimulus="chirp", hertz=7500)["course"].marks
        channels = np.array([int(name.split()[1].strip(",")) for name in picture.rows])
        strong = picture.values.clip(0.5) - 0.5
        moments = (strong * np.arange(strong.shape[1])).sum(1) / strong.sum(1)
        assert (np.diff(moments[channels.argsort()]) > 0).all()

    def test_steps_are_read_in_their_middles(self):
        per_step = 40
        step, inside = np.divmod(np.arange(len(sounds.HERTZ) * per_step), per_step)
        values = (step[:, None] + 1) * np.array([[1.0, 10.0]])
        values[(inside < 8) | (inside > 31)] = 99  # an edge hears two tones
        moments = (np.arange(len(step)) + 0.5) * sounds.STEP / per_step
        found = sounds.over_steps(values, moments)
        assert np.allclose(found, np.arange(1, len(sounds.HERTZ) + 1)[:, None] * [[1, 10]])
        assert np.allclose(sounds.over_steps(values[:400], moments[:400])[10:], 0)

    def test_only_another_stimulus_is_heard_anew(self):
        from unispeech_lab.views.explorer import Explorer

        torch.manual_seed(0)
        model = UniSpeechModel(UniSpeechConfig(**SIZES)).eval()
        explorer = Explorer(None, utterance(), ("filters", "stimuli"), model=model)
        before = explorer["course"]
        heard = explorer.answers["stimuli"][1]["answer"]
        assert explorer.turn(conv=3, place=2)["course"] is not before
        assert explorer.answers["stimuli"][1]["answer"] is heard
        explorer.turn(hertz=2000).panels()
        assert explorer.answers["stimuli"][1]["answer"] is not heard
        assert explorer["stimulus"].title == "Tone, 2000 Hz" and "loudest at 2000 Hz" in explorer["stimulus"].words
