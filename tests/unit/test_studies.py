"""The studies: exact, balanced, true to their captions."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from allaprima.core.errors import UserError
from allaprima.data.studies.palette import MIN_CONTRAST, backgrounds_for, contrast
from allaprima.data.studies.scene import SETTINGS, STYLE_FILES, compose, subject_file
from allaprima.data.studies.studies import (
    BACKGROUNDS,
    COLOURS,
    STUDIES_SUBJECTS,
    STYLES,
    Factors,
    factors,
    render,
    study,
    subject_mask,
)

DECK = len(STUDIES_SUBJECTS) * len(STYLES) * len(COLOURS)


def first(style: str, seed: int = 3, n: int = 1) -> list[Factors]:
    found = (f for f in (factors(seed, i) for i in range(10 * DECK)) if f.style == style)
    return [next(found) for _ in range(n)]


def digest(indices: range, size: tuple[int, int]) -> str:
    return hashlib.sha256(b"".join(study(11, i, size)[0].tobytes() for i in indices)).hexdigest()


def nearest(rgb: np.ndarray, named: dict[str, tuple[int, int, int]]) -> str:
    mean = (float(rgb[0]), float(rgb[1]), float(rgb[2]))
    return min(named, key=lambda name: contrast(mean, named[name]))  # type: ignore[arg-type]


def test_the_same_factors_and_size_give_the_same_bytes() -> None:
    for f in (factors(0, i) for i in range(24)):
        assert render(f, (64, 64)).tobytes() == render(f, (64, 64)).tobytes()


def test_a_fresh_process_draws_the_same_pictures() -> None:
    here = digest(range(12), (48, 64))
    code = (
        "import hashlib; from allaprima.data.studies.studies import study; "
        "print(hashlib.sha256(b''.join(study(11, i, (48, 64))[0].tobytes() for i in range(12))).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert here == there


def test_what_was_drawn_before_does_not_matter() -> None:
    late = study(2, 700, (32, 32))[0]
    study(9, 1, (64, 64))
    assert np.array_equal(study(2, 700, (32, 32))[0], late)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(16, 16), (17, 23), (32, 32), (96, 48), (16, 512), (200, 130), (512, 512)])
def test_every_size_from_16_to_512_can_be_drawn(style: str, size: tuple[int, int]) -> None:
    picture = render(first(style)[0], size)
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 4


@pytest.mark.parametrize("size", [(15, 64), (64, 513)])
def test_a_size_out_of_range_is_refused_with_a_remedy(size: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="16 to 512"):
        render(factors(0, 0), size)


def test_each_deck_holds_every_subject_style_and_colour_once() -> None:
    for start in (0, DECK):
        seen = Counter((f.subject, f.style, f.colour) for f in (factors(5, start + i) for i in range(DECK)))
        assert len(seen) == DECK
        assert set(seen.values()) == {1}


def test_all_combinations_of_subject_style_colour_and_background_occur() -> None:
    seen: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for f in (factors(5, i) for i in range(len(BACKGROUNDS) * DECK)):
        seen[f.subject, f.style, f.colour].add(f.background)
    assert all(grounds == set(backgrounds_for(colour)) for (_, _, colour), grounds in seen.items())


def test_a_colour_is_only_shown_on_backgrounds_that_contrast_with_it() -> None:
    for i in range(DECK):
        f = factors(8, i)
        assert contrast(COLOURS[f.colour], BACKGROUNDS[f.background]) >= MIN_CONTRAST
    assert all(len(backgrounds_for(colour)) >= 2 for colour in COLOURS)


def test_the_continuous_factors_spread_over_their_ranges() -> None:
    many = [factors(1, i) for i in range(400)]
    for values, low, high in (([f.x for f in many], -0.12, 0.12), ([f.scale for f in many], 0.66, 0.82)):
        assert low <= min(values) < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < max(values) <= high
    assert 150 < sum(f.flip for f in many) < 250


def test_captions_read_as_a_person_would_write_them() -> None:
    f = replace(factors(0, 0), subject="fish", style="paper-cut", colour="red", background="cream")
    assert f.caption == "a red paper-cut fish on cream"
    assert replace(f, colour="orange", style="oil").caption == "an orange oil-painted fish on cream"
    assert replace(f, style="pen", subject="cat").caption == "a red pen-drawn cat on cream"
    assert f.label == "fish"


def test_factors_are_plain_values_that_json_can_hold() -> None:
    f = factors(0, 3)
    told = json.loads(json.dumps(f.as_dict()))
    assert told.pop("caption") == f.caption
    told["variation"], told["surround"] = tuple(told["variation"]), tuple(told["surround"])
    assert Factors(**told) == f


@pytest.mark.parametrize("style", STYLES)
def test_the_background_is_the_one_in_the_caption(style: str) -> None:
    right = 0
    for f in (some := first(style, n=96)):
        picture = render(f, (48, 48)).astype(float)
        border = np.concatenate(
            [picture[:4].reshape(-1, 3), picture[4:36, :4].reshape(-1, 3), picture[4:36, -4:].reshape(-1, 3)]
        )
        right += nearest(np.median(border, axis=0), BACKGROUNDS) == f.background
    assert right >= 0.9 * len(some)


@pytest.mark.parametrize("style", STYLES)
def test_the_subject_has_the_colour_in_the_caption(style: str) -> None:
    right = 0
    for f in (some := first(style, n=96)):
        picture = render(f, (64, 64)).astype(float)
        inside = picture[subject_mask(f, (64, 64)) > 0.95]
        votes = Counter(nearest(rgb, COLOURS) for rgb in inside[::7] if rgb.mean() > 60)
        right += votes.most_common(1)[0][0] == f.colour
    assert right >= 0.85 * len(some)


@pytest.mark.parametrize("style", STYLES)
def test_the_subject_stands_out_and_takes_a_good_part_of_the_picture(style: str) -> None:
    for f in first(style, n=48):
        mask = subject_mask(f, (64, 64))
        assert 0.06 < mask.mean() < 0.6
        picture = render(f, (64, 64)).astype(float)
        apart = np.linalg.norm(np.median(picture[mask > 0.9], axis=0) - np.median(picture[mask < 0.1], axis=0))
        assert apart > 25, f.caption


def test_different_indices_give_different_pictures() -> None:
    assert len({study(0, i, (32, 32))[0].tobytes() for i in range(300)}) == 300


@pytest.mark.parametrize("style", STYLES)
def test_the_composition_is_the_same_at_every_size(style: str) -> None:
    for f in first(style, n=12):
        small = render(f, (64, 64)).astype(float)
        large = np.asarray(Image.fromarray(render(f, (128, 128))).reduce(2), dtype=float)
        assert np.abs(small - large).mean() < 9
        other = np.asarray(
            Image.fromarray(render(replace(f, x=f.x - 0.3 if f.x > 0 else f.x + 0.3), (128, 128))).reduce(2),
            dtype=float,
        )
        assert np.abs(small - large).mean() < 0.75 * np.abs(small - other).mean()


@pytest.mark.parametrize("name", STUDIES_SUBJECTS)
def test_every_subject_stays_in_its_frame_for_all_shapes(name: str) -> None:
    module = subject_file(name)
    assert set(module.SETTINGS) <= set(SETTINGS.names())
    for v in (0.0, 0.3, 0.5, 0.77, 1.0):
        for w in (0.0, 0.51, 1.0):
            parts = module.draw((v, w, v, w, v, w))
            points = np.concatenate([p.points for p in parts])
            assert np.isfinite(points).all()
            assert np.abs(points).max() <= 1.25
            assert np.ptp(points, axis=0).max() > 1.2


def test_every_style_and_setting_file_can_be_used() -> None:
    assert {s.replace("-", "_") for s in STYLES} <= set(STYLE_FILES.names())
    for setting in SETTINGS.names():
        f = replace(factors(0, 0), setting=setting)
        scene = compose(f, (1.5, 1.0))
        assert scene.behind
        assert render(f, (48, 32)).std() > 4
