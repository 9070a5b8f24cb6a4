"""The small tools: progress that is seen, schedules over a run, the choice of device."""

from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from allaprima.core import progress as progress_module
from allaprima.core.device import PRECISIONS, Device
from allaprima.core.errors import UserError
from allaprima.core.progress import progress
from allaprima.core.schedules import HELD, SCHEDULES, settling


def test_progress_ends_with_a_line_that_has_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("preparing", total=1000, done=200) as advance:
        advance(300)
        advance(500, "done")
    seen = capsys.readouterr()
    assert seen.out == ""
    assert re.fullmatch(r"preparing: 1,000/1,000 pictures, [\d,]+/s\n", seen.err)


def test_progress_in_a_log_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_LINES", 0.0)
    with progress("training", total=100, unit="images") as advance:
        advance(40, "loss 0.5")
        advance(10, total=50)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("training: 40/100 images, ")
    assert lines[0].endswith("s left  loss 0.5")
    assert lines[1].startswith("training: 50/50 images")
    assert "left" not in lines[1]


def test_progress_is_quiet_for_a_while_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("training", total=100) as advance:
        for _ in range(50):
            advance(1)
        assert capsys.readouterr().err == ""


def test_progress_in_a_terminal_is_a_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress("preparing", total=10) as advance:
        advance(4, "half")
        advance(6, total=12)
    assert "preparing" in capsys.readouterr().err


def test_an_error_passes_through_the_progress() -> None:
    with pytest.raises(UserError, match="stop"), progress("preparing", total=10):
        raise UserError("stop", "go on")


@given(st.sampled_from(sorted(SCHEDULES)), st.floats(-1, 2), st.floats(-10, 10), st.floats(-10, 10))
def test_a_schedule_stays_between_its_ends(name: str, moment: float, start: float, end: float) -> None:
    value = SCHEDULES[name](start, end, moment)
    assert min(start, end) - 1e-9 <= value <= max(start, end) + 1e-9


def test_a_settling_step_is_held_in_short_plans_and_falls_at_the_end_of_long_ones() -> None:
    for total in (1, HELD // 2, HELD):
        assert {settling(1, 0.02, moment / 10, total) for moment in range(11)} == {1}
    for total, begins in ((1.25 * HELD, 0.8), (10 * HELD, 0.6)):
        assert settling(1, 0.02, begins - 0.01, total) == 1
        assert 0.45 < settling(1, 0.02, (1 + begins) / 2, total) < 0.55
        assert settling(1, 0.02, 1, total) == pytest.approx(0.02)
    assert settling(1, 0.02, 0, 0) == 1  # before the first image nobody knows how many there will be


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_a_schedule_starts_at_its_start_and_never_turns_back(name: str) -> None:
    values = [SCHEDULES[name](1.0, 0.1, i / 20) for i in range(21)]
    assert values[0] == 1.0
    assert math.isclose(values[-1], 1.0 if name == "constant" else 0.1)
    assert values == sorted(values, reverse=True)


def test_an_unknown_precision_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError) as caught:
        Device.choose("bf61")
    assert "did you mean 'bf16'?" in caught.value.remedy


@pytest.mark.parametrize("precision", PRECISIONS)
def test_matrix_work_runs_in_the_precision_that_was_chosen(precision: str) -> None:
    device = Device.choose(precision)
    assert device.precision in ("fp32", "bf16")
    assert precision in ("auto", device.precision)
    a = torch.ones(8, 8, device=device.torch)
    with device.autocast():
        product = a @ a
    assert product.dtype == (torch.bfloat16 if device.precision == "bf16" else torch.float32)
    assert device.precision in device.describe()


def test_the_number_of_threads_can_be_limited() -> None:
    before = torch.get_num_threads()
    try:
        Device.choose(threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
