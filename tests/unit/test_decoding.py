"""Every kind of picture becomes the same few, upright, in the right colours."""

import io

import numpy as np
import pytest
from PIL import Image

from allaprima.data.decoding import decode, open_picture
from allaprima.data.fitting import fit, needed_size, stored

RED, BLUE = (220, 30, 20), (20, 40, 200)


def corner_mark(mode="RGB", size=(40, 24)):
    """Blue, with a red block at the top left."""
    picture = Image.new("RGB", size, BLUE)
    picture.paste(RED, (0, 0, size[0] // 2, size[1] // 2))
    return picture.convert(mode)


def through(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    file.seek(0)
    return decode(open_picture(file))


def near(pixel, colour, within=12):
    return max(abs(int(a) - b) for a, b in zip(pixel, colour, strict=False)) <= within


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("BMP", "RGB"), ("GIF", "P"), ("TIFF", "RGB"), ("TIFF", "CMYK"),
        ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGB"), ("WEBP", "RGBA"), ("AVIF", "RGB"),
    ],
)  # fmt: skip
def test_colours_survive_every_format_and_mode(kind, mode):
    picture = corner_mark(mode) if mode != "P" else corner_mark().quantize(8)
    seen = through(picture, kind, **({"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}))
    assert seen.mode in ("RGB", "RGBA")
    assert near(seen.getpixel((3, 3)), RED)
    assert near(seen.getpixel((35, 20)), BLUE)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(kind):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, axis=0)
    seen = np.asarray(through(Image.fromarray(ramp), kind)).astype(int)
    assert abs(seen[0] - np.arange(256)).max() <= 1


@pytest.mark.parametrize("top", [1.0, 255.0, 40000.0])
def test_float_pictures_keep_their_gradation(top):
    ramp = np.linspace(0, top, 64, dtype=np.float32)[None].repeat(8, axis=0)
    seen = np.asarray(through(Image.fromarray(ramp), "TIFF")).astype(int)
    assert seen[0, 0] == 0
    assert seen[0, -1] == 255
    assert (np.diff(seen[0]) > 0).all()


def test_one_bit_and_grey_alpha_pictures_are_read():
    assert through(corner_mark("1"), "PNG").mode == "L"
    assert through(corner_mark("LA"), "PNG").mode == "RGBA"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_is_set_upright(kind, orientation):
    from PIL import ImageOps

    upright = corner_mark(size=(96, 64))
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = through(upright, kind, exif=exif, **({"quality": 95} if kind in ("JPEG", "WEBP") else {}))
    file = io.BytesIO()
    upright.save(file, "PNG", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(file))
    assert seen.size == expected.size
    for place in ((4, 4), (seen.width - 4, 4), (4, seen.height - 4)):
        assert near(seen.getpixel(place), expected.getpixel(place), 30)


def test_a_palette_with_a_transparent_colour_becomes_rgba():
    picture = corner_mark().quantize(4)
    seen = through(picture, "PNG", transparency=picture.getpixel((0, 0)))
    assert seen.mode == "RGBA"
    assert seen.getpixel((0, 0))[3] == 0
    assert seen.getpixel((39, 23))[3] == 255


def test_an_animation_gives_its_first_frame():
    file = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert near(decode(open_picture(file)).convert("RGB").getpixel((5, 5)), RED)


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size_but_never_below_twice_what_is_stored():
    file = io.BytesIO()
    Image.new("RGB", (1600, 1200)).save(file, "JPEG")
    seen = decode(open_picture(file), lambda size: needed_size(size, (64, 64), "crop"))
    assert 128 <= min(seen.size) < 300


def test_no_colour_creeps_in_from_under_transparent_pixels():
    hidden = np.zeros((64, 64, 4), np.uint8)
    hidden[16:48, 16:48] = (250, 250, 250, 255)  # black, unseen, all around
    small = stored(fit(Image.fromarray(hidden), (21, 21), "crop", "RGBA"))
    assert small[small[..., 3] > 40][:, :3].min() > 230
    assert (small[small[..., 3] == 0] == 0).all()
    on_white = stored(fit(Image.fromarray(hidden), (21, 21), "crop", "RGB"))
    assert on_white.min() > 230


@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(200, 50), (50, 200), (33, 34), (9, 9)])
def test_the_result_has_the_wanted_size_and_mode(how, size):
    for mode, channels in (("L", 1), ("RGB", 3), ("RGBA", 4)):
        assert stored(fit(corner_mark(size=size), (48, 32), how, mode)).shape == (32, 48, channels)


def test_crop_keeps_the_middle_and_pad_keeps_everything():
    wide = Image.new("RGB", (90, 30), BLUE)
    wide.paste(RED, (30, 0, 60, 30))
    assert near(stored(fit(wide, (30, 30), "crop")).reshape(-1, 3).mean(0), RED, 4)
    padded = stored(fit(wide, (90, 90), "pad"))
    assert (padded[:29] == 255).all()
    assert near(padded[45, 5], BLUE)
    assert stored(fit(wide, (90, 90), "pad", "RGBA"))[0, 0, 3] == 0


def test_pixel_art_is_enlarged_with_hard_edges_and_left_alone_at_its_own_size():
    art = corner_mark(size=(16, 16))
    assert np.array_equal(stored(fit(art, (16, 16))), np.asarray(art))
    large = stored(fit(art, (64, 64)))
    assert {tuple(p) for p in large.reshape(-1, 3).tolist()} == {RED, BLUE}
