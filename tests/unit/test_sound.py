"""Sounds of any kind are heard alike, whatever their file, rate, loudness and the quiet around them."""

from __future__ import annotations

import io
import json
import time
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from allaprima.core.errors import UserError
from allaprima.models.conditions import CONDITIONS
from allaprima.models.conditions.sound import packed, unpacked
from allaprima.models.sound import LONGEST_SECONDS, RATE, decode, log_mel

soundfile = pytest.importorskip("soundfile", reason="the extra 'sound' is not installed")
SPOKEN = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "spoken-digits" / "fsdd.zip"


def chirp(rate: int, seconds: float = 0.6) -> np.ndarray:
    """From 300 to 1500 Hz, softly begun and ended."""
    t = np.arange(int(rate * seconds)) / rate
    return 0.5 * np.sin(2 * np.pi * (300 * t + 1000 * t**2)) * np.sin(np.pi * t / seconds) ** 0.5


def encoded(samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


def heard(source: bytes | str | Path) -> torch.Tensor:
    return log_mel(decode(source), 64, 40)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_sound_is_the_same_in_any_file_and_at_any_rate(kind: str, rate: int) -> None:
    wanted = heard(encoded(chirp(RATE), RATE))
    found = heard(encoded(chirp(rate), rate, kind))
    loud = wanted > 0  # within 30 dB of the loudest
    assert (found - wanted)[loud].abs().mean() < 0.1


def test_channels_are_mixed_and_loudness_and_quiet_around_it_say_nothing() -> None:
    sound = chirp(RATE)
    wanted = log_mel(sound, 64, 40)
    stereo = np.stack([sound, sound], axis=1)
    torch.testing.assert_close(heard(encoded(stereo, RATE)), heard(encoded(sound, RATE)))
    torch.testing.assert_close(log_mel(sound * 0.05, 64, 40), wanted, atol=0.02, rtol=0)
    late = np.concatenate([np.zeros(RATE), sound, np.zeros(3 * RATE)])
    assert (log_mel(late, 64, 40) - wanted).abs().mean() < 0.05


def test_a_tone_lies_in_the_band_of_its_pitch() -> None:
    low, high = (log_mel(np.sin(2 * np.pi * hz * np.arange(RATE) / RATE), 64, 40) for hz in (200, 3000))
    assert low[32].argmax() < 8
    assert high[32].argmax() > 30
    assert low.max() == pytest.approx(1)


def test_of_a_long_sound_the_loudest_second_is_heard() -> None:
    quiet, loud = 0.1 * np.sin(np.arange(4 * RATE) / 2), np.sin(np.arange(RATE) / 5)
    found = log_mel(np.concatenate([quiet, loud, quiet]), 60, 40)
    alone = log_mel(np.concatenate([loud]), 60, 40)
    assert (found.mean(0).argmax() - alone.mean(0).argmax()).abs() <= 1


def test_silence_and_no_samples_are_heard_as_silence() -> None:
    for nothing in (np.zeros(0), np.zeros(1), np.zeros(RATE), np.full(RATE, 1e-4)):
        assert (log_mel(nothing, 64, 40) == -1).all()


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.float32, st.integers(0, 3000), elements=st.floats(width=32)))
def test_any_waveform_is_heard_as_numbers_in_range(waveform: np.ndarray) -> None:
    found = log_mel(waveform, 32, 16)
    assert found.shape == (32, 16)
    assert found.isfinite().all()
    assert found.min() >= -1
    assert found.max() <= 1


@pytest.mark.parametrize("data", [b"", b"not a sound", b"RIFF\x24\x00\x00\x00WAVEfmt ", bytes(range(256)) * 20])
def test_what_is_no_sound_is_refused_in_plain_words(data: bytes) -> None:
    with pytest.raises(UserError, match=r"no sound|empty") as told:
        decode(data)
    assert told.value.remedy


def test_a_missing_file_and_an_empty_recording_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        decode(tmp_path / "none.wav")
    with wave.open(str(tmp_path / "empty.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
    with pytest.raises(UserError, match="empty"):
        decode(tmp_path / "empty.wav")


def test_a_long_file_is_read_for_its_first_seconds_alone() -> None:
    data = encoded(np.tile(chirp(8000), 600), 8000)  # six minutes
    began = time.monotonic()
    assert len(decode(data)) == LONGEST_SECONDS * RATE
    assert time.monotonic() - began < 2


def test_a_prepared_sound_survives_the_way_through_a_state() -> None:
    config = CONDITIONS.get("sound").Config()
    row = config.prepare([chirp(RATE)])[0]
    again = config.prepare([unpacked(packed(row))])[0]
    assert (again - row).abs().max() <= 1 / 255
    assert packed(again) == packed(row)
    with pytest.raises(UserError, match="cannot be read"):
        unpacked("no base64!")
    with pytest.raises(UserError, match="another generator"):
        config.prepare([unpacked(packed(row[:100]))])


@pytest.mark.skipif(not SPOKEN.is_file(), reason="the recordings of ../shared/data are not there")
def test_digits_that_are_spoken_can_be_told_apart_after_half_a_minute_of_learning() -> None:
    with zipfile.ZipFile(SPOKEN) as archive:
        rows = [json.loads(line) for line in archive.read("metadata.jsonl").splitlines()]
        train = [row for row in rows if row["file_name"].startswith("train/")][::3]
        clips = [archive.read(row["file_name"]) for row in train]
    config, digits = CONDITIONS.get("sound").Config(), torch.tensor([int(row["label"]) for row in train])
    prepared = config.prepare(clips)
    draws = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    order = torch.randperm(len(train), generator=draws)
    learned, held_out = order[150:], order[:150]
    net, head = config.build(64), torch.nn.Linear(64, 10)
    optimizer = torch.optim.Adam([*net.parameters(), *head.parameters()], 1e-3)
    for _ in range(300):
        some = learned[torch.randint(len(learned), (32,), generator=draws)]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(net(prepared[some])), digits[some]).backward()
        optimizer.step()
    with torch.no_grad():
        right = (head(net(prepared[held_out])).argmax(1) == digits[held_out]).float().mean()
    assert right > 0.85
