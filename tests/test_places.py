"""Names of places: matched from the right, segment by segment."""

from contextlib import ExitStack

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from watched_models import hugging_face, tower

from unispeech_lab.trace.places import find, hook, matches

segments = st.lists(st.text("abc_1", min_size=1, max_size=4), min_size=1, max_size=5)


@given(segments, st.data())
def test_a_name_is_meant_by_each_of_its_ends_and_by_wildcards_in_them(name, data):
    full = ".".join(name)
    end = name[-data.draw(st.integers(1, len(name))) :]
    assert matches(full, ".".join(end))
    wild = [data.draw(st.sampled_from([part, "*", part[0] + "*", "?" * len(part)])) for part in end]
    assert matches(full, ".".join(wild))
    assert matches(full, "." + full) and (matches(full, "." + ".".join(end)) == (len(end) == len(name)))


@given(segments, segments)
def test_without_wildcards_a_name_is_meant_exactly_when_it_ends_so(name, other):
    full, pattern = ".".join(name), ".".join(other)
    assert matches(full, pattern) == (f".{full}".endswith(f".{pattern}"))


@given(segments, segments)
def test_a_star_stays_within_its_segment(name, tail):
    assert not matches(".".join([*name, "layers", "3", *tail]), "layers.*") or tail[-2:-1] == ["layers"]


@given(segments, st.integers(0, 12))
def test_an_item_is_part_of_the_name(name, item):
    full = ".".join(name)
    assert matches(f"{full}[{item}]", f"{name[-1]}[{item}]") and matches(f"{full}[{item}]", f"*[{item}]")
    assert not matches(f"{full}[{item}]", full) and not matches(full, f"{full}[{item}]")
    assert not matches(f"{full}[{item}]", f"{full}[{item + 1}]")


def test_layers_star_is_exactly_the_layers():
    model = hugging_face()
    assert [p.name for p in find(model, ["layers.*"])] == [f"unispeech.encoder.layers.{i}" for i in range(4)]
    assert [p.name for p in find(model, ["layers.[1-2]"])] == [f"unispeech.encoder.layers.{i}" for i in (1, 2)]
    assert [p.name for p in find(model, ["unispeech.encoder.layers.3"])] == ["unispeech.encoder.layers.3"]
    assert len(find(model, ["dropout"])) > 4 and [p.name for p in find(model, [".dropout"])] == ["dropout"]


def test_places_come_once_and_in_the_order_of_the_model():
    model = tower()
    places = find(model, ["layers.2", "split[1]", "layers.*", "stem", "split"])
    assert [p.name for p in places] == ["stem", "split[1]", "split", *(f"layers.{i}" for i in range(4))]
    assert all(p.module is model.get_submodule(p.name.removesuffix("[1]")) for p in places)


def test_every_name_of_a_model_finds_itself():
    model = hugging_face()
    for name, module in model.named_modules():
        if name:
            assert any(place.module is module for place in find(model, [name]))
            assert [place.name for place in find(model, [f".{name}"])] == [name]


@pytest.mark.parametrize(
    "wrong, near",
    [("layers.12", "layers.1"), ("layer.3.gate.patern", "layers.3.gate.pattern"), ("stm[0]", "stem"), ("zzz", "stem")],
)
def test_an_unknown_name_is_answered_with_the_nearest(wrong, near):
    with pytest.raises(KeyError) as error:
        find(tower(), ["stem", wrong])
    message = str(error.value)
    assert f"no layer of Tower is called '{wrong}'" in message and near in message.split("nearest: ")[1].rstrip(
        '"'
    ).split(", ")


@given(st.permutations([0, 0, 1, 1, 2, 2]))
def test_turns_are_kept_whatever_the_order_of_registration(order):
    layer, heard = nn.Identity(), []

    def watcher(turn, number):
        def listen(*_):
            heard.append((turn, number))

        if turn != 1:  # a hook of somebody else's has no turn, and counts as one who looks
            listen.turn = turn
        return listen

    with ExitStack() as stack:
        for number, turn in enumerate(order):
            hook(stack, layer, watcher(turn, number))
        layer(torch.zeros(1))
    assert heard == sorted(heard) and len(heard) == 6 and not layer._forward_hooks
