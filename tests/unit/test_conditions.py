"""What pictures are asked to be: one interface for classes, texts and sounds, and several of them at once."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from allaprima.core.errors import UserError
from allaprima.data import apart, conditions, sounds
from allaprima.data.dataset import Dataset
from allaprima.data.loader import Loader
from allaprima.methods._pairs import Contrast, mismatched
from allaprima.models import conditions as room
from allaprima.models.conditions import CONDITIONS
from tests.conftest import write_tiny_dataset

CLASSES = ["blue", "green", "red"]


def label(optional: bool = False):
    return CONDITIONS.get("label").Config(classes=CLASSES, optional=optional)


def text(captions=("a red square", "a green square", "a blue square", "a red square")):
    return CONDITIONS.get("text").Config().fitted(list(captions) * 2)


def several():
    return CONDITIONS.get("several").Config(parts=[text(), label(optional=True)])


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    write_tiny_dataset(tmp_path / "tiny")
    return Dataset.open(tmp_path / "tiny")


def test_names_are_read_with_their_other_names_and_a_wrong_one_is_refused():
    assert room.parse("text, class,label") == ["text", "label"]
    assert room.parse("none") == room.parse("") == []
    assert room.parse("audio") == ["sound"]
    with pytest.raises(UserError, match="did you mean 'text'"):
        room.parse("texts")


def test_a_class_may_be_left_out_only_where_that_is_learned():
    with pytest.raises(UserError, match="Unknown class 'None'"):
        label().prepare([None])
    assert label(optional=True).prepare([None, "red"]).tolist() == [-1, 2]
    net = label(optional=True).build(8)
    assert net(torch.tensor([-1, 0, 2])).unique(dim=0).shape == (3, 8)


def test_several_conditions_stand_side_by_side_and_come_apart_again():
    config = several()
    prepared = config.prepare([{"text": "a red square", "label": "red"}, {"label": 0}, {"text": "a red square"}, None])
    assert prepared.shape == (4, config.size)
    words, numbers = config.apart(prepared)
    assert numbers.tolist() == [2, 0, -1, -1]
    assert torch.equal(words[0], words[2])
    assert not words[[1, 3]].any()
    y = config.build(config.width(16))(prepared)
    assert y.shape == (4, config.width(16)) == (4, 48)
    assert y.isfinite().all()
    assert room.left_out(config, prepared).tolist() == [False, True, True, True]


def test_wishes_are_for_all_pictures_or_one_each_and_unknown_ones_are_refused():
    config = several()
    one = room.prepare(config, {"text": "a red square"}, 3)
    assert torch.equal(one, one[:1].expand(3, -1))
    each = room.prepare(config, {"label": ["red", None, "blue"]}, 3)
    assert config.apart(each)[1].tolist() == [2, -1, 0]
    with pytest.raises(UserError, match="2 labels for 3 pictures"):
        room.prepare(config, {"label": ["red", "blue"]}, 3)
    with pytest.raises(UserError, match="does not follow a sound"):
        room.prepare(config, {"sound": "three.wav"}, 1)
    with pytest.raises(UserError, match="trained without conditions"):
        room.prepare(CONDITIONS.get("none").Config(), {"text": "a bird"}, 1)


def test_prepared_texts_are_kept_beside_the_pictures_and_made_anew_when_damaged(dataset):
    asked = conditions.Asked(dataset, text())
    places = np.arange(6)
    rows = asked.rows(places)
    kept = list((dataset.folder / "conditions").glob("text-*.npy"))
    assert len(kept) == 1
    assert torch.equal(conditions.Asked(dataset, text()).rows(places), rows)
    kept[0].write_bytes(b"damaged")
    assert torch.equal(conditions.Asked(dataset, text()).rows(places), rows)
    conditions.Asked(dataset, text(["some other words here"] * 3))
    assert len(list((dataset.folder / "conditions").glob("text-*.npy"))) == 2


def test_a_folder_that_takes_no_files_does_not_stop_a_training(dataset, monkeypatch):
    def refuse(path, data):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(conditions.vault, "write_atomic", refuse)
    assert conditions.Asked(dataset, text()).rows(np.arange(3)).any()


def test_training_leaves_each_condition_out_now_and_then_and_measuring_never_does(dataset):
    asked = conditions.Asked(dataset, several(), drop=0.4, seed=3)
    places = np.tile(np.arange(60), 10)
    words, numbers = several().apart(asked.rows(places, step=5))
    without_words, without_class = (words == 0).all(1), numbers < 0
    assert without_words.float().mean() == pytest.approx(0.4, abs=0.08)
    assert without_class.float().mean() == pytest.approx(0.4, abs=0.08)
    assert (without_words & without_class).float().mean() == pytest.approx(0.16, abs=0.06)
    assert torch.equal(asked.rows(places, step=5), asked.rows(places, step=5))
    assert not torch.equal(asked.rows(places, step=5), asked.rows(places, step=6))
    assert not room.left_out(several(), asked.rows(places)).any()


def test_parts_of_a_batch_leave_out_what_the_whole_batch_does(dataset):
    settings = {"condition": text(), "drop": 0.5}  # and words of texts are left out too
    whole = Loader(dataset, batch_size=8, seed=1, **settings).batch(3).conditions["text"]
    halves = [
        Loader(dataset, batch_size=8, seed=1, part=(n, 2), **settings).batch(3).conditions["text"] for n in (0, 1)
    ]
    assert torch.equal(torch.stack(halves, dim=1).flatten(0, 1), whole)


def recordings() -> list[sounds.Recording]:
    """Of class 0 three for training and one for the test, one of class 1, and one of the picture at place 7."""
    tone = np.linspace(-1, 1, 800, dtype=np.float32)
    shared = [(0, 0), (0, 0), (0, 0), (0, 2), (1, 0)]
    found = [
        sounds.Recording(f"{place}", tone[: 100 * (place + 1)], label=kind, split=split)
        for place, (kind, split) in enumerate(shared)
    ]
    return [*found, sounds.Recording("own", tone * 0.5, picture=7)]


def test_recordings_are_stored_whole_and_given_by_picture_or_by_class_and_split(tmp_path):
    assert sounds.Sounds.of(tmp_path) is None
    assert sounds.write(tmp_path, []) == ()
    sounds.write(tmp_path, recordings())
    stored = sounds.Sounds.of(tmp_path)
    assert stored is not None
    for number, recording in enumerate(recordings()):
        np.testing.assert_allclose(stored.waveform(number), recording.waveform, atol=1e-4)
    assert stored.candidates(3, label=0, split=0).tolist() == [0, 1, 2]
    assert stored.candidates(3, label=0, split=2).tolist() == [3]
    assert stored.candidates(3, label=0, split=3).tolist() == [3]  # kept apart: what is held out of training
    assert stored.candidates(3, label=2, split=0).tolist() == []
    assert stored.candidates(7, label=0, split=0).tolist() == [5]
    (tmp_path / sounds.INDEX).write_text(json.dumps({"ends": [3]}))
    with pytest.raises(UserError, match="damaged"):
        sounds.Sounds.of(tmp_path)


def test_a_picture_is_given_another_recording_of_its_class_in_another_step(tmp_path):
    write_tiny_dataset(tmp_path / "tiny")
    sounds.write(tmp_path / "tiny", recordings())
    dataset = Dataset.open(tmp_path / "tiny")
    config = CONDITIONS.get("sound").Config()
    asked = conditions.Asked(dataset, config)
    place = np.flatnonzero((dataset.labels == 0) & (dataset.split_of == 0))[:1]
    wanted = config.prepare([recordings()[number].waveform for number in range(3)])
    seen = {
        next(number for number in range(3) if torch.allclose(asked.rows(place, step)[0], wanted[number], atol=1e-2))
        for step in range(40)
    }
    assert seen == {0, 1, 2}
    silent = np.flatnonzero(dataset.labels == 2)[:1]
    assert not asked.rows(silent, step=0).any()


def test_combinations_that_are_kept_apart_leave_every_single_value_to_learn_from():
    kinds = [{"shape": shape, "colour": colour} for shape in "abcd" for colour in "xyz"] * 5
    chosen = apart.choose(kinds, ["shape", "colour"], share=0.25)
    hidden = {tuple(kind.values()) for kind, gone in zip(kinds, chosen, strict=True) if gone}
    shown = {tuple(kind.values()) for kind, gone in zip(kinds, chosen, strict=True) if not gone}
    assert len(hidden) == 3
    assert not hidden & shown
    assert {shape for shape, _ in shown} == set("abcd")
    assert {colour for _, colour in shown} == set("xyz")
    assert (apart.choose(kinds, ["shape", "colour"], share=0.25) == chosen).all()
    with pytest.raises(UserError, match="did you mean 'shape'"):
        apart.choose(kinds, ["shapes"], 0.1)
    with pytest.raises(UserError, match="too few"):
        apart.choose(kinds, ["colour"], 0.1)


def test_only_pairs_that_really_differ_count_as_mismatched():
    own, others = torch.zeros(4), torch.tensor([5.0, 5.0, 5.0, 5.0])
    numbers = torch.tensor([1, 1, 2, 0])
    loss = mismatched(label(), numbers, own, others)
    assert loss.tolist() == pytest.approx([5.0067, 0.0, 5.0067, 5.0067], abs=1e-3)
    # the last row's neighbour leaves its class out: no wrong condition for it
    loss = mismatched(label(optional=True), torch.tensor([1, 2, -1, 0]), own, others)
    assert (loss > 0).tolist() == [True, True, True, False]


def test_a_contrastive_head_learns_which_condition_belongs_to_which_picture():
    torch.manual_seed(0)
    head, asked = Contrast(6, 4), torch.arange(8) % 4
    table, pictures = torch.randn(4, 4), torch.randn(4, 6, 2, 2)
    grid = pictures[asked]
    before = head(grid, table[asked], asked).mean()
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        head(grid, table[asked], asked).mean().backward()
        optimizer.step()
    after = head(grid, table[asked], asked)
    assert after.mean() < 0.2 < before
    assert after.isfinite().all()  # twins are no wrong answers, and no infinities
