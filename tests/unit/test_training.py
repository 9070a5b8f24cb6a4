"""Training: nothing is lost, nothing is different after a stop, faults do not reach what is published."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from allaprima.core.config import load
from allaprima.core.errors import UserError
from allaprima.core.files import claim_folder
from allaprima.data.dataset import Dataset
from allaprima.training import checkpoint, command, loop, stats
from allaprima.training import run as runs
from allaprima.training.budget import Plan
from allaprima.training.config import RunConfig
from allaprima.training.faults import Watch
from allaprima.training.learner import Learner
from allaprima.training.session import Session
from allaprima.training.stopping import Best
from tests.unit._runs import LOOP, PIXELS, TINY_GAN, one_thread

__all__ = ["one_thread"]  # used by pytest

TINY = [*TINY_GAN, *LOOP, PIXELS]
TINY_VAE = [
    "method=vae",
    "method.encoder.width=8",
    "method.encoder.max_width=16",
    "method.decoder.width=8",
    "method.decoder.max_width=16",
    "method.opponent.discriminator.width=8",
    "method.opponent.discriminator.max_width=16",
    "method.adversarial_from=0.4",  # it joins at 64 of 160 images
    *TINY[4:],
]


def begin(folder: Path, dataset: Path, *changes: str, images: int = 160) -> runs.Run:
    config = load(RunConfig, {"budget": {"images": images}}, [*TINY, *changes])
    return runs.create(folder, config, Dataset.open(dataset))


def final_state(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    newest, _ = checkpoint.newest(folder / "checkpoints")
    assert newest is not None
    return checkpoint.load(newest)


def assert_same_end(one: Path, other: Path) -> None:
    (tensors, state), (others, other_state) = final_state(one), final_state(other)
    assert tensors.keys() == others.keys()
    for key, value in tensors.items():
        assert torch.equal(value, others[key]), key
    assert state["learner"] == other_state["learner"]
    assert state["best"] == other_state["best"]
    assert timeless_stats(one) == timeless_stats(other)


def timeless_stats(run: Path) -> list[dict[str, Any]]:
    clocks = ("time/", "speed/")
    return [{k: v for k, v in line.items() if not k.startswith(clocks)} for line in stats.read(run)]


class StopAfter:
    """Asks for a stop at a number of images, as a signal would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, images: int) -> None:
        step = Session._step

        def counted(session: Session) -> None:
            step(session)
            if session.learner.num_images_seen == images:
                os.kill(os.getpid(), signal.SIGTERM)

        monkeypatch.setattr(Session, "_step", counted)


@pytest.mark.parametrize("changes", [TINY, TINY_VAE], ids=["gan", "vae"])
@pytest.mark.parametrize("at", [24, 80])
def test_a_run_that_was_stopped_ends_bit_for_bit_as_one_that_never_was(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, changes: list[str], at: int
) -> None:
    whole = begin(tmp_path / "whole", tiny_dataset, *changes)
    assert loop.train(whole).ending == "finished"
    parts = begin(tmp_path / "parts", tiny_dataset, *changes)
    with monkeypatch.context() as patch:
        StopAfter(patch, at)
        outcome = loop.train(parts)
    assert (outcome.ending, outcome.num_images_seen) == ("stopped", at)
    assert loop.train(runs.open_run(parts.folder)).ending == "finished"
    assert_same_end(whole.folder, parts.folder)


def test_a_finished_run_stands_and_goes_on_only_when_asked_for_more(tmp_path: Path, tiny_dataset: Path) -> None:
    run = begin(tmp_path / "run", tiny_dataset)
    loop.train(run)
    assert loop.train(runs.open_run(run.folder)).ending == "standing"
    outcome = command.train(str(tiny_dataset), run.folder, "16", ["budget={images: 240}"])
    assert (outcome.ending, outcome.num_images_seen) == ("finished", 240)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path, tiny_dataset: Path) -> None:
    whole = begin(tmp_path / "whole", tiny_dataset)
    loop.train(whole)
    hurt = begin(tmp_path / "hurt", tiny_dataset)
    loop.train(hurt)
    newest = checkpoint.listed(hurt.checkpoints)[-1]
    data = bytearray((newest / checkpoint.TENSORS).read_bytes())
    data[len(data) // 2] ^= 1
    (newest / checkpoint.TENSORS).write_bytes(data)
    said: list[str] = []
    assert loop.train(runs.open_run(hurt.folder), said.append).ending == "finished"
    assert any("damaged checkpoint" in line for line in said)
    assert_same_end(whole.folder, hurt.folder)


def test_every_truncation_and_bit_flip_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    saved = checkpoint.save(tmp_path, 8, {"w": torch.arange(6.0)}, {"step": 1}, keep=2)
    for name in (checkpoint.TENSORS, checkpoint.STATE):
        path, whole = saved / name, (saved / name).read_bytes()
        hurt = [whole[:length] for length in range(0, len(whole), 3)]
        hurt += [whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :] for i in range(len(whole))]
        for data in hurt:
            path.write_bytes(data)
            assert not checkpoint.is_whole(saved)
        path.write_bytes(whole)
    assert checkpoint.is_whole(saved)


def test_a_checkpoint_of_other_nets_is_refused_with_a_way_on(tmp_path: Path, tiny_dataset: Path) -> None:
    run = begin(tmp_path / "run", tiny_dataset, images=32)
    loop.train(run, lambda text: None)
    tensors, state = final_state(run.folder)
    renamed = {key.replace("method.adversary.", "method."): value for key, value in tensors.items()}
    assert renamed.keys() != tensors.keys()
    checkpoint.save(run.checkpoints, 10_000, renamed, state, keep=2)
    with pytest.raises(UserError, match="other nets") as refused:
        loop.train(run, lambda text: None)
    assert "--from" in refused.value.remedy


def test_the_newest_checkpoint_is_chosen_by_images_and_not_by_the_clock(tmp_path: Path) -> None:
    for seen in (8, 16):
        checkpoint.save(tmp_path, seen, {"w": torch.ones(1)}, {}, keep=2)
    os.utime(tmp_path / f"{8:012d}", (2_000_000_000, 2_000_000_000))
    newest, _ = checkpoint.newest(tmp_path)
    assert newest == tmp_path / f"{16:012d}"


def test_a_full_disk_leaves_the_old_checkpoint_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 8, {"w": torch.ones(1)}, {}, keep=2)
    before = (tmp_path / f"{8:012d}" / checkpoint.TENSORS).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.vault, "write_synced", full)
    with pytest.raises(UserError, match="No space left"):
        checkpoint.save(tmp_path, 16, {"w": torch.zeros(1)}, {}, keep=2)
    assert [path.name for path in tmp_path.iterdir()] == [f"{8:012d}"]
    assert (tmp_path / f"{8:012d}" / checkpoint.TENSORS).read_bytes() == before


def poison(monkeypatch: pytest.MonkeyPatch, at: set[int], factor: float, once: bool = True) -> None:
    """Multiply the losses of the steps ``at`` by ``factor``, the first time that they come."""
    descend, met = Learner._descend, set()

    def poisoned(learner: Learner, phase: str, batch: Any, moment: Any) -> Any:
        step = learner.step_number
        if step in at and not (once and (phase, step) in met):
            met.add((phase, step))
            original = learner.method.step
            learner.method.__dict__["step"] = lambda *a: {key: value * factor for key, value in original(*a).items()}
            try:
                return descend(learner, phase, batch, moment)
            finally:
                del learner.method.__dict__["step"]
        return descend(learner, phase, batch, moment)

    monkeypatch.setattr(Learner, "_descend", poisoned)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_one_fault_skips_one_step(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    run = begin(tmp_path / "run", tiny_dataset)
    with monkeypatch.context() as patch:
        poison(patch, {5}, factor)
        assert loop.train(run).ending == "finished"
    tensors, state = final_state(run.folder)
    assert all(value.isfinite().all() for value in tensors.values())
    assert state["rollbacks"] == 0
    assert state["learner"]["learning_rate_scale"] == 1.0


def test_three_faults_in_a_row_go_back_to_the_last_good_state_and_say_so(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, said = begin(tmp_path / "run", tiny_dataset), []
    with monkeypatch.context() as patch:
        poison(patch, {12, 13, 14}, float("nan"))
        assert loop.train(run, said.append).ending == "finished"
    tensors, state = final_state(run.folder)
    assert state["rollbacks"] == 1
    assert state["learner"]["learning_rate_scale"] == 0.5
    assert any("back to 80" in line for line in said)
    assert all(value.isfinite().all() for value in tensors.values())


def test_a_spike_of_ten_thousand_skips_its_step_and_no_other(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("allaprima.training.faults.STEPS_BEFORE_SPIKES", 4)
    judge, skipped = Watch.judge, set()

    def noted(watch: Watch, phase: str, total: Any, norm: Any, step_number: int) -> Any:
        fine = judge(watch, phase, total, norm, step_number)
        if not fine:
            skipped.add((step_number, phase))
        return fine

    run = begin(tmp_path / "run", tiny_dataset)
    with monkeypatch.context() as patch:
        patch.setattr(Watch, "judge", noted)
        poison(patch, {10}, 1e4)
        loop.train(run)
    assert skipped == {(10, "discriminator"), (10, "generator")}


def test_running_statistics_of_a_faulty_forward_pass_are_taken_back(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = Learner._prepare

    def blinded(learner: Learner, batch: Any) -> Any:
        batch = prepare(learner, batch)
        if learner.step_number == 5:
            batch.samples.fill_(float("nan"))
        return batch

    run = begin(tmp_path / "run", tiny_dataset, *TINY_VAE)
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "_prepare", blinded)
        loop.train(run)
    tensors, _ = final_state(run.folder)
    assert any("running_mean" in key for key in tensors)
    assert all(value.isfinite().all() for value in tensors.values())


def test_the_same_command_goes_on_also_with_settings_that_were_resolved(tmp_path: Path, tiny_dataset: Path) -> None:
    changes = ["budget={images: 16}", "training.augment=[rotation]", "training.mirror=on", "training.lr=auto", *TINY]
    source, folder = str(tiny_dataset), tmp_path / "run"
    assert command.train(source, folder, "16", changes).ending == "finished"
    assert command.train(source, folder, "16", changes).ending == "standing"
    assert command.train(source, folder, "16", ["condition=auto"]).ending == "standing"


def test_a_source_is_prepared_first_and_a_second_time_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    draw = torch.Generator().manual_seed(0)
    (tmp_path / "pictures").mkdir()
    for number in range(40):
        small = torch.randint(0, 256, (4, 4, 3), dtype=torch.uint8, generator=draw).numpy()
        Image.fromarray(small).resize((32, 32), Image.Resampling.BICUBIC).save(f"pictures/{number}.png")
    changes = ["budget={images: 16}", *TINY]
    assert command.train("pictures", tmp_path / "run", "16", changes).ending == "finished"
    assert Dataset.open("datasets/pictures-16x16").domain.shape.spatial == (16, 16)
    assert command.train("pictures", tmp_path / "run", "16", changes).ending == "standing"


def test_a_source_that_cannot_be_prepared_leaves_no_run_and_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as told:
        command.train("empty", tmp_path / "run", "16", TINY)
    assert "allaprima prepare empty" in told.value.remedy
    assert not (tmp_path / "run").exists()


def test_a_dry_run_shows_the_run_that_stands_and_writes_nothing(tmp_path: Path, tiny_dataset: Path) -> None:
    assert "width: 77" in command.dry_run(tmp_path / "none", ["method.generator.width=77"])
    assert not (tmp_path / "none").exists()
    begin(tmp_path / "run", tiny_dataset)
    assert "latent_dim: 8" in command.dry_run(tmp_path / "run", [])


def test_settings_of_a_run_that_another_process_holds_are_left_alone(tmp_path: Path, tiny_dataset: Path) -> None:
    run = begin(tmp_path / "run", tiny_dataset)
    before = (run.folder / "run.yaml").read_bytes()
    with claim_folder(run.folder), pytest.raises(UserError, match="in use by another process"):
        command.train(str(tiny_dataset), run.folder, "16", ["budget={images: 999}"])
    assert (run.folder / "run.yaml").read_bytes() == before


@pytest.mark.parametrize("text", ["minutes: .inf", "minutes: .nan", "images: 0", "minutes: -1"])
def test_a_budget_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        load(RunConfig, {}, [f"budget={{{text}}}"])


def test_training_that_never_recovers_ends_with_a_plain_error(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(tmp_path / "run", tiny_dataset)
    poison(monkeypatch, set(range(1000)), float("nan"), once=False)
    with pytest.raises(UserError, match="diverges"):
        loop.train(run)


def test_a_second_trainer_is_refused_at_once(tmp_path: Path, tiny_dataset: Path) -> None:
    run = begin(tmp_path / "run", tiny_dataset)
    with claim_folder(run.folder), pytest.raises(UserError, match="in use by another process"):
        begun = time.monotonic()
        loop.train(run)
    assert time.monotonic() - begun < 1


def test_a_run_on_other_pictures_is_refused(tmp_path: Path, tiny_dataset: Path) -> None:
    from tests.conftest import write_tiny_dataset

    begin(tmp_path / "run", tiny_dataset)
    write_tiny_dataset(tmp_path / "other", size=24)
    with pytest.raises(UserError, match="begun on other pictures"):
        command.train(str(tmp_path / "other"), tmp_path / "run", "16", [])


def test_a_folder_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path, tiny_dataset: Path) -> None:
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis.tex").write_text("dear diary")
    with pytest.raises(UserError, match=r"no run of Alla Prima \(it holds 'thesis.tex'\)"):
        command.train(str(tiny_dataset), stranger, "16", [])
    assert [path.name for path in stranger.iterdir()] == ["thesis.tex"]


def test_other_settings_on_a_standing_run_are_refused(tmp_path: Path, tiny_dataset: Path) -> None:
    begin(tmp_path / "run", tiny_dataset)
    with pytest.raises(UserError, match=r"other settings than training\.lr=0\.5"):
        command.train(str(tiny_dataset), tmp_path / "run", "16", ["training.lr=0.5"])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (["method=gam"], "Unknown method 'gam'"),
        (["method.generator=dcgn"], "Unknown generator 'dcgn'"),
        (["training.batchsize=3"], "Unknown setting 'training.batchsize'"),
        (["method.generator.widht=3"], "Unknown setting"),
        (["method.loss=hing"], "Unknown adversarial loss"),
        (["method.penalty=r3"], "Unknown gradient penalty"),
        (["budget={minutes: 1, images: 2}"], "either minutes or images"),
        (["nonsense"], "is not a setting"),
    ],
)
def test_a_wrong_setting_is_named_before_anything_is_written(
    tmp_path: Path, tiny_dataset: Path, changes: list[str], problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        command.train(str(tiny_dataset), tmp_path / "run", "16", changes)
    assert not (tmp_path / "run").exists()


def test_a_gradient_penalty_with_batch_normalisation_is_refused_with_the_way_out(
    tmp_path: Path, tiny_dataset: Path
) -> None:
    with pytest.raises(UserError, match="batch normalisation") as told:
        command.train(str(tiny_dataset), tmp_path / "run", "16", ["method.discriminator=dcgan"])
    assert "method.discriminator.normalisation=group" in told.value.remedy


@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "least_squares"])
def test_the_classic_pair_trains_with_every_classic_loss(tmp_path: Path, tiny_dataset: Path, loss: str) -> None:
    classic = ["method.generator=dcgan", "method.generator.width=8", "method.discriminator=dcgan"]
    changes = [*classic, "method.discriminator.width=8", f"method.loss={loss}", *TINY[4:]]
    config = load(RunConfig, {"budget": {"images": 32}}, changes)
    outcome = loop.train(runs.create(tmp_path / "run", config, Dataset.open(tiny_dataset)))
    assert outcome.ending == "finished"


@pytest.mark.parametrize("algorithm", ["adam", "adamw", "rmsprop", "sgd"])
def test_every_optimiser_resumes_exactly(
    tmp_path: Path, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    changes = [f"training.optimizer={algorithm}", "training.lr=0.001", "training.clip=1"]
    whole = begin(tmp_path / "whole", tiny_dataset, *changes, images=64)
    loop.train(whole)
    parts = begin(tmp_path / "parts", tiny_dataset, *changes, images=64)
    with monkeypatch.context() as patch:
        StopAfter(patch, 24)
        loop.train(parts)
    loop.train(runs.open_run(parts.folder))
    assert_same_end(whole.folder, parts.folder)


def test_early_stopping_waits_for_its_patience_and_keeps_the_best() -> None:
    best = Best()
    assert [best.offer(figure, seen) for seen, figure in enumerate([3.0, 2.0, 2.5, 2.0, float("nan")])] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert (best.figure, best.num_images_seen) == (2.0, 1)
    assert best.is_hopeless(3)
    assert not best.is_hopeless(4)
    assert not best.is_hopeless(0)


def test_of_moments_that_differ_by_chance_the_latest_is_kept() -> None:
    best = Best(grain=0.1)
    offered = [best.offer(figure, seen) for seen, figure in enumerate([3.0, 2.0, 2.2, 2.05, float("nan"), 2.09, 2.11])]
    assert offered == [True, True, False, True, False, True, False]
    assert (best.figure, best.kept, best.num_images_seen, best.ticks_since) == (2.0, 2.09, 5, 5)
    assert best.describe() == "kernel distance 2.0900"


@pytest.mark.parametrize("figure", [float("nan"), float("inf")])
def test_a_figure_that_is_not_finite_is_never_the_best(figure: float) -> None:
    best = Best()
    assert not best.offer(figure, 8)
    assert best.offer(1.0, 16)


def test_a_plan_follows_the_clock_and_a_plan_in_images_does_not() -> None:
    plan = Plan.for_minutes(10, images_per_second=100, seconds_used=0, batch_size=64)
    assert 50_000 < plan.total_images < 60_000
    plan.seconds_used = 300  # half of the time gone, but a neighbour took half of the machine
    plan.revise(15_000, images_per_second=50, ticks_left=5)
    assert 28_000 < plan.total_images < 30_100
    fixed = Plan(1_000, None, 1_000)
    fixed.revise(10, images_per_second=0.1, ticks_left=5)
    assert fixed.total_images == 1_000


def test_a_budget_in_minutes_is_kept(tmp_path: Path, tiny_dataset: Path) -> None:
    config = load(RunConfig, {"budget": {"minutes": 0.1}}, TINY)
    begun = time.monotonic()
    outcome = loop.train(runs.create(tmp_path / "run", config, Dataset.open(tiny_dataset)))
    assert outcome.ending == "finished"
    assert time.monotonic() - begun < 16


def test_stats_are_whole_after_a_line_was_cut_short(tmp_path: Path) -> None:
    (tmp_path / "stats.jsonl").write_text('{"num_images_seen": 8, "loss/x": 1.0}\n{"num_images_se')
    assert [line["num_images_seen"] for line in stats.read(tmp_path)] == [8]


def test_sigterm_saves_and_leaves_with_zero(tmp_path: Path, tiny_dataset: Path) -> None:
    arguments = [part for change in [*TINY, "training.ticks=100_000"] for part in ("--set", change)]
    program = [sys.executable, "-m", "allaprima", "train", str(tiny_dataset), str(tmp_path / "run"), "--images", "10M"]
    process = subprocess.Popen([*program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "run" / "samples").glob("*.png")) and time.monotonic() < deadline:
        assert process.poll() is None, process.stdout and process.stdout.read()
        time.sleep(0.2)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert time.monotonic() - begun < 10
    assert "the same command goes on" in output
    assert checkpoint.newest(tmp_path / "run" / "checkpoints")[0] is not None
    marker = json.loads((tmp_path / "run" / "run.json").read_text())
    assert marker["format"] == runs.FORMAT
