"""A generator that returns training pictures is called out, however it changes them; held-out pictures are not."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from allaprima.core.errors import UserError
from allaprima.data.studies.studies import study
from allaprima.domains.image import Config as ImageConfig
from allaprima.evaluation import nearest as search
from allaprima.evaluation.features.pixels import PixelFeatures
from allaprima.evaluation.material import Material
from allaprima.evaluation.metrics import data_copying, memorisation
from allaprima.evaluation.metrics.data_copying import placements
from allaprima.evaluation.metrics.memorisation import CLEAR, COPIES, UNKNOWN, threshold, verdict
from allaprima.evaluation.nearest import nearest, nearest_pixels
from allaprima.evaluation.sections import neighbours
from allaprima.evaluation.small import shrink
from tests.contracts.evidence import cloud, material

Pictures = np.ndarray  # uint8 [N,H,W,C]
SETS = ("studies", "garments", "sprites")


@pytest.fixture(scope="module")
def studies() -> Pictures:
    return np.stack([study(0, place, (32, 32))[0] for place in range(900)])


@pytest.fixture(scope="module")
def sets(studies: Pictures, request: pytest.FixtureRequest) -> Callable[[str], Pictures]:
    """Pictures in random order by the set's name; of garments, those of the published training set alone."""
    kept = {"studies": studies}

    def of(name: str) -> Pictures:
        if name not in kept:
            kept[name] = {"garments": garments, "sprites": sprites}[name](request.getfixturevalue("shared_data"))
        return kept[name]

    return of


def garments(folder: Path) -> Pictures:
    raw = gzip.decompress((folder / "fashion-mnist" / "train-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28, 1)[:6000]


def sprites(folder: Path) -> Pictures:
    with zipfile.ZipFile(folder / "sprites" / "dcss-tiles-32.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".png"))
        pictures = [Image.open(io.BytesIO(archive.read(name))).convert("RGBA") for name in names]
    same = np.stack([np.asarray(picture) for picture in pictures if picture.size == (32, 32)])
    return np.random.default_rng(0).permutation(same)


def split(pictures: Pictures, seed: int) -> tuple[Pictures, Pictures, Pictures]:
    """Training pictures (two thirds), held-out ones, and as many that are fresh."""
    mixed = np.random.default_rng(seed).permutation(pictures)
    sixth = len(mixed) // 6
    return mixed[: 4 * sixth], mixed[4 * sixth : 5 * sixth], mixed[5 * sixth :]


def evidence(train: Pictures, held_out: Pictures, painted: Pictures, seed: int = 0) -> Material:
    """A Material whose features are the means of 8 × 8 fields."""
    height, width, channels = train.shape[1:]
    domain = ImageConfig(width=width, height=height, channels=channels).build()
    features = PixelFeatures(channels)
    real, fake = domain.to_tensor(held_out), domain.to_tensor(painted)
    dataset = SimpleNamespace(
        folder=Path("d"), domain=domain, images=train, labels=np.full(len(train), -1), classes=[],
        indices=lambda split: np.arange(len(train)),
    )  # fmt: skip
    small = {"real_small": shrink(real), "fake_small": shrink(fake), "dataset": dataset, "first": painted[:8]}
    seen = [features.extract(one) for one in (real, fake, domain.to_tensor(train))]
    return material(*seen, seed=seed, **small)


def said(found: Material) -> str:
    return verdict(memorisation.measure(found))


def noisy(pictures: Pictures) -> Pictures:
    noise = np.random.default_rng(1).integers(-2, 3, pictures.shape)
    return np.clip(pictures.astype(int) + noise, 0, 255).astype(np.uint8)


def as_jpeg(pictures: Pictures) -> Pictures:
    """Colours through a JPEG of quality 75; transparency stays."""
    changed = pictures.copy()
    for place, one in enumerate(pictures):
        colours = one[..., 0] if one.shape[-1] == 1 else one[..., :3]
        file = io.BytesIO()
        Image.fromarray(colours).save(file, "JPEG", quality=75)
        again = np.asarray(Image.open(file))
        changed[place, ..., : min(3, one.shape[-1])] = again[..., None] if again.ndim == 2 else again
    return changed


PLANTS: dict[str, Callable[[Pictures], Pictures]] = {
    "exactly": lambda pictures: pictures,
    "with noise": noisy,
    "mirrored": lambda pictures: pictures[:, :, ::-1],
    "through JPEG": as_jpeg,
}


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize("name", SETS)
def test_a_generator_that_returns_training_pictures_is_called_out(
    name: str, plant: str, sets: Callable[[str], Pictures]
) -> None:
    train, held_out, _ = split(sets(name), 0)
    assert said(evidence(train, held_out, PLANTS[plant](train[: len(held_out)]))) == COPIES


@pytest.mark.parametrize("plant", ["exactly", "with noise", "mirrored"])
@pytest.mark.parametrize("name", SETS)
def test_a_fifth_of_copies_among_fresh_pictures_is_called_out(
    name: str, plant: str, sets: Callable[[str], Pictures]
) -> None:
    train, held_out, fresh = split(sets(name), 0)
    copies = PLANTS[plant](train[: len(fresh) // 4])
    assert said(evidence(train, held_out, np.concatenate([fresh, copies]))) == COPIES


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", SETS)
def test_fresh_real_pictures_are_not_called_out(name: str, seed: int, sets: Callable[[str], Pictures]) -> None:
    found = evidence(*split(sets(name), seed), seed=seed)
    assert said(found) == CLEAR
    by_cells = next(data_copying.measure(found))
    assert abs(by_cells.value) < 3


def test_the_floor_of_the_copy_rate_is_what_held_out_pictures_get(sets: Callable[[str], Pictures]) -> None:
    """About 1 % where pictures are different from each other; the rate of fresh ones agrees with it."""
    rates, floors = [], []
    for seed in range(8):
        figure = next(memorisation.measure(evidence(*split(sets("studies"), seed), seed=seed)))
        rates.append(figure.value)
        assert figure.floor is not None
        floors.append(figure.floor)
        assert figure.interval is not None
        assert figure.interval[0] <= figure.value <= figure.interval[1]
    assert np.mean(floors) < 0.04
    assert abs(np.mean(rates) - np.mean(floors)) < 0.015


def test_a_blurred_generator_is_no_copier(studies: Pictures) -> None:
    """The mean of two pictures is nearer to training pictures than any picture is, and copies none."""
    train, held_out, fresh = split(studies, 0)
    blurred = (train[: len(fresh)].astype(int) + train[-len(fresh) :]) // 2
    blurred = np.stack([blurred[i : i + 3].mean(0) for i in range(len(fresh))]).astype(np.uint8)
    found = evidence(train, held_out, blurred)
    assert float(found.neighbours.pixels.fake.distance.median()) < float(found.neighbours.pixels.real.distance.median())
    assert said(found) == CLEAR


def test_blank_pictures_are_no_copies_of_each_other(studies: Pictures) -> None:
    """Where many training pictures are the same, to paint it is no copying."""
    train, held_out, fresh = split(studies, 0)
    blank = np.zeros_like(train)
    found = evidence(np.concatenate([train, blank])[::-1].copy(), held_out, np.concatenate([fresh, blank[:200]]))
    shuffled = np.random.default_rng(0).permutation(len(found.searched))
    object.__setattr__(found, "searched", found.searched[shuffled])
    object.__setattr__(found, "searched_places", found.searched_places[shuffled])
    assert said(found) == CLEAR


def test_few_held_out_pictures_cannot_clear_a_generator_but_can_convict_it(studies: Pictures) -> None:
    train, held_out, fresh = split(studies, 0)
    assert said(evidence(train, held_out[:40], fresh)) == UNKNOWN
    assert said(evidence(train, held_out[:40], train[:100])) == COPIES
    with pytest.raises(UserError, match="too few to compare"):
        said(evidence(train, held_out[:19], fresh))


def test_it_says_so_when_not_all_training_pictures_were_searched(studies: Pictures) -> None:
    found = evidence(*split(studies, 0))
    assert not any("searched" in figure.note for figure in memorisation.measure(found))
    train = len(found.searched)
    found.dataset.indices = lambda split: np.arange(train + 1000)  # type: ignore[method-assign]
    notes = [figure.note for figure in memorisation.measure(found)]
    assert len(notes) == 2
    assert all(f"searched {train:,} of {train + 1000:,} training pictures" in note for note in notes)


def test_the_threshold_keeps_within_reason() -> None:
    draw = np.random.default_rng(0)
    assert threshold(draw.uniform(0.2, 1, 1000)) == pytest.approx(0.208, abs=0.004)
    assert threshold(np.zeros(300)) == 0.1
    assert threshold(draw.uniform(0.8, 1, 300)) == 0.5


def test_the_chance_is_that_of_fishers_exact_test() -> None:
    stats = pytest.importorskip("scipy.stats")
    for copies, samples, twins, held_out in [
        (12, 100, 2, 90),
        (0, 50, 3, 40),
        (3000, 10_000, 60, 6000),
        (40, 40, 0, 30),
    ]:
        table = [[copies, samples - copies], [twins, held_out - twins]]
        expected = stats.fisher_exact(table, alternative="greater").pvalue
        assert memorisation._chance(copies, samples, twins, held_out) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_placements_are_those_of_mann_and_whitney() -> None:
    stats = pytest.importorskip("scipy.stats")
    fake = cloud(40, 1, dim=1)[:, 0].mul(4).round()  # with ties
    real = cloud(30, 2, 0.3, dim=1)[:, 0].mul(4).round()
    statistic = stats.mannwhitneyu(fake.numpy(), real.numpy()).statistic
    for placed in placements(fake, real):
        assert float(placed.mean()) * 1200 == pytest.approx(statistic)


def gaussian(train: torch.Tensor, held_out: torch.Tensor, fake: torch.Tensor) -> Any:
    return next(data_copying.measure(material(held_out, fake, train)))


def test_c_t_is_below_zero_for_copies_above_for_strangers_and_near_zero_else() -> None:
    train, held_out = cloud(600, 1), cloud(400, 2)
    assert gaussian(train, held_out, train[:400] + 0.1 * cloud(400, 3)).value < -8
    assert gaussian(train, held_out, 1.6 * cloud(400, 3)).value > 3
    values = [gaussian(cloud(600, 3 * i), cloud(400, 3 * i + 1), cloud(400, 3 * i + 2)) for i in range(20)]
    assert abs(np.mean([figure.value for figure in values])) < 0.4
    spread = np.std([figure.value for figure in values])
    widths = [(figure.interval[1] - figure.interval[0]) / 2 / 1.96 for figure in values]
    assert 0.6 < np.mean(widths) / spread < 1.6


def test_c_t_in_one_cell_is_the_z_score_of_the_library() -> None:
    stats = pytest.importorskip("scipy.stats")
    train, held_out, fake = cloud(200, 1), cloud(60, 2), cloud(80, 3, 0.1)
    distance = [torch.cdist(x, train).amin(1).numpy() for x in (fake, held_out)]
    found = gaussian(train, held_out, fake)
    assert len(found.details["cells"]) == 1
    u = stats.mannwhitneyu(*distance).statistic
    assert found.value == pytest.approx((u - 2400) / (4800 * 141 / 12) ** 0.5, rel=1e-3)


def test_c_t_leaves_out_cells_with_few_pictures_and_says_when_none_is_left() -> None:
    modes = lambda count, seed: torch.cat([cloud(count, seed), cloud(count, seed + 9, 30.0)])  # noqa: E731
    found = gaussian(modes(300, 1), modes(50, 2), cloud(100, 3))
    assert "50% of the held-out" in found.note
    with pytest.raises(UserError, match="No region holds enough"):
        gaussian(modes(300, 1), cloud(100, 2), cloud(100, 3, 30.0))


def test_the_nearest_is_that_of_all_pairs_however_they_are_grouped(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, among = cloud(150, 1, 5.0), cloud(400, 2, 5.0)
    expected = torch.cdist(queries, among, compute_mode="donot_use_mm_for_euclid_dist")
    for rows in (2048, 64):
        monkeypatch.setattr(search, "ROWS_AT_ONCE", rows)
        monkeypatch.setattr(search, "COLUMNS_AT_ONCE", rows // 4)
        found = nearest(queries, among)
        torch.testing.assert_close(found.distance, expected.amin(1))
        assert torch.equal(found.place, expected.argmin(1))
        parts = torch.stack([expected[:, start:stop].amin(1) for start, stop in search._bounds(400)])
        torch.testing.assert_close(found.crowd, parts.median(0).values, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("width", [6, 7])
def test_pixels_are_compared_with_mirror_images_too(width: int) -> None:
    draw = torch.Generator().manual_seed(0)
    among = torch.randint(0, 256, (90, 3, 5, width), dtype=torch.uint8, generator=draw)
    queries = torch.randint(0, 256, (40, 3, 5, width), dtype=torch.uint8, generator=draw)
    queries[:5], queries[5:10] = among[10:15], among[10:15].flip(3)
    found = nearest_pixels(queries, among)
    both = [
        (queries.float()[:, None] - other.float()[None]).square().mean((2, 3, 4)).sqrt()
        for other in (among, among.flip(3))
    ]
    expected = torch.minimum(*both)
    torch.testing.assert_close(found.distance, expected.amin(1), rtol=1e-4, atol=1e-4)
    assert torch.equal(found.place, expected.argmin(1))
    assert (found.distance[:10] == 0).all()


def test_the_page_shows_pairs_and_says_what_was_found(studies: Pictures) -> None:
    train, held_out, fresh = split(studies, 0)
    for painted, words in ((fresh, "No sign of copying"), (train[:60], "It copies")):
        found = evidence(train, held_out, painted)
        page = neighbours.section(found.with_results(figures=list(memorisation.measure(found))))
        assert words in page
        assert page.count("<figure") == 24
        assert page.count('nearest training picture"') == 24
    assert "features 0.00<br>pixels 0.00" in page
    assert "No sign" not in neighbours.section(found), "nothing was measured"


def test_what_was_searched_is_not_searched_again_for_the_page(
    studies: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evidence(*split(studies, 0))
    figures = list(memorisation.measure(found))
    monkeypatch.setattr("allaprima.evaluation.nearest._search", lambda *args: pytest.fail("searched again"))
    list(data_copying.measure(found))
    assert "No sign of copying" in neighbours.section(found.with_results(figures=figures))
