"""What is left out, and above all what is not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from allaprima.data.checks import CHECKS, Limits, Prints, Sight, duplicate, flat, near_duplicate, noise, tiny
from allaprima.data.fitting import fit, stored
from allaprima.data.hashing import digest, perceptual
from allaprima.data.studies.studies import study

LIMITS = Limits()


def sight(array):
    picture = Image.fromarray(array)
    return Sight(picture, stored(picture))


def drawn(index, side=160):
    return Image.fromarray(study(5, index, (side, side))[0])


def noise_of(kind, side, seed=0):
    random = np.random.default_rng(seed)
    return {
        "uniform colour": random.integers(0, 256, (side, side, 3), dtype=np.uint8),
        "uniform grey": random.integers(0, 256, (side, side), dtype=np.uint8),
        "normal": random.normal(128, 50, (side, side, 3)).clip(0, 255).astype(np.uint8),
        "binary": (random.random((side, side)) < 0.5).astype(np.uint8) * 255,
    }[kind]


@pytest.mark.parametrize("kind", ["uniform colour", "uniform grey", "normal", "binary"])
@pytest.mark.parametrize("side", [28, 64, 200])
def test_noise_of_every_kind_is_noise(kind, side):
    assert all(noise.pixels(sight(noise_of(kind, side, seed)), LIMITS) for seed in range(10))
    assert noise.pixels(sight(noise_of(kind, side)), Limits(keep_noise=True)) is None


def test_noise_is_found_in_a_jpeg_that_is_decoded_at_a_part_of_its_size():
    from allaprima.data.worker import Job, examine

    packed = io.BytesIO()
    Image.fromarray(noise_of("uniform colour", 512)).save(packed, "JPEG", quality=85)

    class Reader:
        def read(self, key):
            return io.BytesIO(packed.getvalue())

    _, outcome = examine(Job(Reader(), "", (64, 64), "crop", "RGB", LIMITS), "noise.jpg", 0)
    assert outcome.check == "noise"


def test_pictures_textures_and_dots_are_not_noise():
    random = np.random.default_rng(0)
    stars = np.zeros((64, 64), np.uint8)
    stars[random.integers(0, 64, 60), random.integers(0, 64, 60)] = 255
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    sand = random.normal(150, 14, (64, 64)).clip(0, 255).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(noise_of("uniform colour", 64)).filter(ImageFilter.GaussianBlur(1)))
    grainy = (np.asarray(drawn(1, 64), float) + random.normal(0, 20, (64, 64, 3))).clip(0, 255).astype(np.uint8)
    for picture in (stars, board, sand, smooth, grainy):
        assert noise.pixels(sight(picture), LIMITS) is None
    for index in range(40):
        assert noise.pixels(sight(study(1, index, (32, 32))[0]), LIMITS) is None


def test_one_colour_is_flat_and_a_faint_drawing_is_not():
    plain = np.full((32, 32, 3), (10, 200, 30), np.uint8)
    assert "one colour" in flat.pixels(sight(plain), LIMITS)
    plain[10:20, 10:20, 1] -= 12
    assert flat.pixels(sight(plain), LIMITS) is None
    clear = np.random.default_rng(0).integers(0, 256, (32, 32, 4), dtype=np.uint8)
    clear[..., 3] = 0
    assert flat.pixels(sight(clear), LIMITS) == "wholly transparent"


@pytest.mark.parametrize(("size", "refused"), [((1, 1), True), ((7, 300), True), ((8, 8), False), ((28, 28), False)])
def test_tiny_is_a_matter_of_the_shorter_side(size, refused):
    assert bool(tiny.header(Image.new("L", size), LIMITS)) == refused


def prints(pictures, side=64, mode="RGB"):
    fitted = [fit(picture, (side, side), "crop", mode) for picture in pictures]
    arrays = np.stack([stored(one) for one in fitted])
    return Prints(
        np.arange(len(arrays)),
        np.array([digest(one) for one in arrays], "V16"),
        np.array([perceptual(one) for one in fitted], np.uint64),
        arrays,
    )


def packed(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return Image.open(file)


def test_the_same_picture_in_another_format_is_a_duplicate():
    picture = drawn(0)
    found = duplicate.among(prints([picture, drawn(1), packed(picture, "PNG"), packed(picture, "BMP")]), LIMITS)
    assert {place: first for place, (first, _) in found.items()} == {2: 0, 3: 0}


def changed(picture):
    """What people do to a picture before they save it a second time."""
    width, height = picture.size
    hair = round(width * 0.004)
    return {
        "saved as JPEG": packed(picture, "JPEG", quality=85),
        "saved as WebP": packed(picture, "WEBP", quality=85),
        "halved": picture.resize((width // 2, height // 2), Image.Resampling.LANCZOS),
        "doubled": picture.resize((width * 2, height * 2), Image.Resampling.BICUBIC),
        "less contrast": ImageEnhance.Contrast(picture).enhance(0.9),
        "a hair cropped": picture.crop((hair, hair, width - hair, height)),
    }


@pytest.mark.parametrize("how", list(changed(Image.new("RGB", (64, 64)))))
def test_a_picture_that_was_saved_again_is_a_near_duplicate(how):
    count = 24
    originals = [drawn(index, 256) for index in range(count)]
    found = near_duplicate.among(prints([*originals, *(changed(one)[how] for one in originals)]), LIMITS)
    pairs = {(place, first) for place, (first, _) in found.items()}
    assert pairs <= {(count + index, index) for index in range(count)}
    assert len(pairs) >= 0.8 * count


def figure(limb=0, colour="brown", clock=0):
    picture = Image.new("RGB", (64, 64), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((22, 14, 42, 44), colour, "black")
    draw.ellipse((24, 2, 40, 18), "bisque", "black")
    draw.rectangle((24 + limb, 44, 30 + limb, 62), "black")
    draw.line((32, 30, 32 + round(9 * np.sin(clock)), 30 - round(9 * np.cos(clock))), "white", 3)
    return picture


def test_variants_that_a_person_drew_are_no_duplicates():
    brothers = [figure(), figure(limb=6), figure(colour="olive"), figure(colour="navy"), figure(clock=1.5)]
    assert near_duplicate.among(prints(brothers), LIMITS) == {}


def test_different_studies_are_no_duplicates():
    pictures = prints([Image.fromarray(study(2, index, (32, 32))[0]) for index in range(300)], side=32)
    assert near_duplicate.among(pictures, LIMITS) == {}


def test_candidates_are_exactly_the_pairs_within_reach_each_once():
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**63, 300, dtype=np.uint64)
    for place in range(100, 300):  # near others, by 0 to 12 bits
        flips = random.choice(64, random.integers(0, 13), replace=False)
        hashes[place] = hashes[place - 100] ^ np.bitwise_or.reduce(np.uint64(1) << flips.astype(np.uint64))
    found = [pair for i, j in near_duplicate.candidates(hashes) for pair in zip(i.tolist(), j.tolist(), strict=True)]
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    expected = {(i, j) for i, j in np.argwhere(apart <= near_duplicate.BITS).tolist() if i < j}
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert len(expected) > 50


def test_every_check_has_a_stage_and_says_what_it_does():
    for name in CHECKS.names():
        module = CHECKS.get(name)
        assert {"explain", "header", "pixels", "among"} & set(vars(module)), name
        assert module.__doc__, name
