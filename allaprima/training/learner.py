"""What learns: a method, its optimisers and moving averages, one step at a time. Its whole state is tensors and JSON.

Every random number of step ``n`` comes from a stream named by (seed, n): a learner restored at step ``n`` goes on exactly as
one that never stopped. A step never waits for the device: whether it was fine is decided there, and its losses are tensors
that cost nothing until they are shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from allaprima.core.device import Device
from allaprima.core.errors import UserError
from allaprima.core.seeds import derive
from allaprima.data.augment import apply
from allaprima.data.batch import Batch
from allaprima.methods import Method, Moment
from allaprima.training import optimizers
from allaprima.training.checkpoint import flatten_optimizer, restore_optimizer
from allaprima.training.config import RunConfig
from allaprima.training.distributed import ALONE, Group
from allaprima.training.ema import Ema
from allaprima.training.faults import Watch
from allaprima.training.parts import Part
from allaprima.training.recording import Recorder
from allaprima.training.run import Run

STEPS_BETWEEN_LOOKS = 16  # where reading a number from the device would stop the queue


@dataclass(frozen=True)
class Turn:
    """A phase's part in one step: its moment, and numbers, which are scalars on the device where steps are recorded."""

    moment: Moment
    rate: float | torch.Tensor
    step_number: int | torch.Tensor


class Learner:
    """``condition`` is a condition's Config, ``num_pictures`` those trained on (0: not known).

    What is ``auto`` in ``config`` becomes the method's recommendation. ``group``: the processes that share each batch, all
    of them with a learner like this one; they stay equal. Raises UserError when the batch cannot be divided among them.
    """

    def __init__(
        self,
        config: RunConfig,
        shape: Any,
        condition: Any,
        device: Device,
        seed: int,
        num_pictures: int = 0,
        group: Group = ALONE,
    ) -> None:
        config = config.with_recommended(shape)
        self.config, self.device, self.seed, self.num_pictures, self.group = config, device, seed, num_pictures, group
        check_division(config, group)
        # The only use of torch's global generator: initial weights. Whoever called us gets theirs back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "weights"))
            method: Method = config.method.build(shape, condition)
        layout = torch.channels_last if len(shape.spatial) == 2 else torch.contiguous_format
        self.method = method.train().to(device.torch)
        self.method.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stub knows no such call
        self.layout = layout
        self.ema = Ema(self.method.exported())
        group.share_statistics(self.method)
        if config.training.compile == "on":
            for net in self.method.exported().values():
                net.compile()
        self.parameters = {phase: list(method.parameters_of(phase)) for phase in method.phases}
        self.buffers = list(self.method.buffers())
        self.constrained = {phase: constrained(self.method, own) for phase, own in self.parameters.items()}
        self.optimizers = {
            phase: optimizers.build(config.training, self.parameters[phase], device.torch) for phase in method.phases
        }
        self.watch = Watch(method.phases, device.torch)
        self.streams: dict[str, torch.Generator] = {}
        self.recorder = Recorder(device.torch) if self._can_be_recorded() else None
        self.step_number = 0
        self.learning_rate_scale = 1.0

    @classmethod
    def of(cls, run: Run, device: Device, group: Group = ALONE) -> Learner:
        """A fresh one for ``run``, without the weights that it may begin with (``transfer.begin``)."""
        config, shape, pictures = run.config, run.dataset.domain.shape, len(run.dataset.indices("train"))
        return cls(config, shape, run.condition, device, config.seed, pictures, group)

    @property
    def num_images_seen(self) -> int:
        return self.step_number * self.config.training.batch_size

    @property
    def may_look(self) -> bool:
        """Whether this is a step at which to read from the device, for example ``watch.look``."""
        return self.device.torch.type == "cpu" or self.step_number % STEPS_BETWEEN_LOOKS == 0

    def step(self, batch: Batch, total_images: int) -> dict[str, torch.Tensor]:
        """One step of every phase on this process's part of the batch; the losses by name, as tensors on the device.

        A gradient that is not finite or absurd skips the phase and counts a fault, see ``faults.Watch``.
        """
        batch = self._prepare(batch)
        turns = self._turns(total_images)
        courses = {phase: self.method.course(turn.moment) for phase, turn in turns.items()}
        if self.recorder is None or None in courses.values():
            shown = self._descend_all(batch, turns)
        else:
            drawn = [turn.moment.random for turn in turns.values()]
            course = tuple(courses.items())
            shown = self.recorder.run(course, batch, drawn, lambda batch: self._descend_all(batch, turns))
        self.watch.end_step()
        self.step_number += 1
        training = self.config.training
        share = optimizers.number(training.ema_half_life)
        self.ema.update(self.method.exported(), training.batch_size, self.num_images_seen, share)
        return shown

    def constrain(self, *phases: str) -> None:
        """Put the weights of these phases, or of all, back where their layers want them."""
        for phase in phases or self.constrained:
            for layer in self.constrained[phase]:
                layer.constrain_()

    def look(self, batch: Batch, total_images: int) -> None:
        """Pictures of the validation split, for a method that asked for them."""
        with torch.no_grad(), self.device.autocast():
            self.method.look(batch, self._moment("look", total_images))

    def taken_over_parts(self) -> list[str]:
        """What a step takes over a part of the batch instead of all of it, in words; nothing where a batch is one part."""
        accumulate, batch_size = self.config.training.accumulate, self.config.training.batch_size
        count = self.group.part.count * accumulate
        if count == 1:
            return []
        part = batch_size // count
        norms = [
            net for net in self.method.modules() if net.training and isinstance(net, nn.modules.batchnorm._BatchNorm)
        ]
        whole = not norms or (accumulate == 1 and all(isinstance(net, nn.SyncBatchNorm) for net in norms))
        return [*([] if whole else ["batch normalisation"]), *self.method.taken_over_batch(part)]

    def _can_be_recorded(self) -> bool:
        training = self.config.training
        one = self.group.alone and training.accumulate == 1
        never_waits = all(optimizers.never_waits(optimizer) for optimizer in self.optimizers.values())
        return self.device.torch.type == "cuda" and training.cuda_graphs and one and never_waits

    def _turns(self, total_images: int) -> dict[str, Turn]:
        """The phases that take part in this step, in their order."""
        found: dict[str, Turn] = {}
        training, seen = self.config.training, self.num_images_seen
        for phase in self.method.phases:
            moment = self._moment(phase, total_images)
            if pace := self.method.pace(phase, moment):
                rate = optimizers.learning_rate(training, moment.progress, seen) * self.learning_rate_scale * pace
                found[phase] = Turn(moment, self._dial(f"rate of {phase}", rate), self._dial("step", self.step_number))
        return found

    def _dial(self, name: str, value: float) -> Any:
        """A number that another step has another of: a scalar on the device where steps are recorded."""
        return value if self.recorder is None else self.recorder.dial(name, value)

    def _moment(self, name: str, total_images: int) -> Moment:
        epochs = total_images / self.num_pictures if self.num_pictures else 1.0
        progress = min(1.0, self.num_images_seen / total_images)
        dial = None if self.recorder is None else self.recorder.dial("progress", progress)
        return Moment(progress, self._stream(name), epochs, dial)

    def _stream(self, name: str) -> torch.Generator:
        """The step's own; always the same generator, which a recording knows."""
        if name not in self.streams:
            self.streams[name] = torch.Generator(self.device.torch)
        return self.streams[name].manual_seed(derive(self.seed, name, self.step_number))

    def _prepare(self, batch: Batch) -> Batch:
        names = self.config.training.augment
        with self.group.part.draws():
            samples = apply(names, batch.samples, 1.0, self._stream("augment")) if names else batch.samples
        return Batch(samples.contiguous(memory_format=self.layout), batch.ids, batch.conditions)

    def _descend_all(self, batch: Batch, turns: dict[str, Turn]) -> dict[str, torch.Tensor]:
        shown: dict[str, torch.Tensor] = {}
        for phase, turn in turns.items():
            shown.update(self._descend(phase, batch, turn))
        return shown

    def _descend(self, phase: str, batch: Batch, turn: Turn) -> dict[str, torch.Tensor]:
        own, optimizer = self.parameters[phase], self.optimizers[phase]
        if len(self.method.phases) > 1:
            # Weights of other phases need no gradient now: the backward pass through them is a third cheaper.
            self.method.requires_grad_(False)
            for parameter in own:
                parameter.requires_grad_(True)
        # running statistics move in the forward pass already: a fault must be able to take them back
        before = [buffer.clone() for buffer in self.buffers]
        optimizer.zero_grad(set_to_none=True)
        losses = self._gradients(phase, batch, turn.moment)
        gradients = [parameter.grad for parameter in own if parameter.grad is not None]
        moved = [buffer.data for buffer in self.buffers if buffer.is_floating_point()]
        self.group.mean_([*gradients, *losses.values(), *moved])
        norm = nn.utils.get_total_norm(gradients)
        fine = self.watch.judge(phase, self._descended(losses), norm, turn.step_number)
        training = self.config.training
        if training.clip is not None:
            torch._foreach_mul_(gradients, (training.clip / norm).clamp(max=1.0))
        optimizers.step(optimizer, turn.rate, fine)
        self.constrain(phase)
        for buffer, kept in zip(self.buffers, before, strict=True):
            # through .data: a GAN keeps its samples' graph for the next phase, and their backward pass, which uses batch
            # statistics and not these buffers, would refuse to run after a change that autograd has seen
            torch.where(fine, buffer, kept, out=buffer.data)
        return losses

    def _gradients(self, phase: str, batch: Batch, moment: Moment) -> dict[str, torch.Tensor]:
        """The mean over the batch's parts: of the losses, which are returned, and of gradients, left in the parameters."""
        count = self.config.training.accumulate
        shown: dict[str, torch.Tensor] = {}
        for number in range(count):
            part = Part(number, count)
            if count > 1:
                moment = replace(moment, random=self._stream(phase))
            with part.within(self.group.part).draws(), self.device.autocast():
                losses = self.method.step(phase, part.of(batch), moment)
            (self._descended(losses) / count).backward()
            for name, loss in losses.items():
                share = loss.detach().float() / count
                shown[name] = shown[name] + share if name in shown else share
        return shown

    def _descended(self, losses: dict[str, torch.Tensor]) -> torch.Tensor:
        """The sum of those that are not only shown."""
        return torch.stack([loss for name, loss in losses.items() if name not in self.method.watched]).sum()

    # -- the whole state --------------------------------------------------------------------------------------------

    def tensors(self) -> dict[str, torch.Tensor]:
        """Weights, moving averages and optimiser moments by name."""
        found = {f"method.{key}": value for key, value in self.method.state_dict().items()}
        for name, net in self.ema.nets.items():
            found.update({f"ema.{name}.{key}": value for key, value in net.state_dict().items()})
        for phase, optimizer in self.optimizers.items():
            found.update(flatten_optimizer(phase, optimizer))
        return {key: value.detach().cpu() for key, value in found.items()}

    def state(self) -> dict[str, Any]:
        """What is no tensor."""
        return {
            "step_number": self.step_number,
            "learning_rate_scale": self.learning_rate_scale,
            **self.watch.state(),
        }

    def restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        """The reverse of ``tensors`` and ``state``. Raises UserError when they are another version's."""
        try:
            _load(self.method, "method.", tensors)
            for name, net in self.ema.nets.items():
                _load(net, f"ema.{name}.", tensors)
        except RuntimeError as error:
            raise UserError(
                "The checkpoint holds other nets than this version of allaprima trains",
                "the run's generator still paints; to learn on from it: allaprima train DATASET NEW_RUN --from RUN/bundle",
            ) from error
        for phase, optimizer in self.optimizers.items():
            restore_optimizer(phase, optimizer, tensors)
        self.step_number = state["step_number"]
        self.learning_rate_scale = state["learning_rate_scale"]
        self.watch.restore(state)
        if self.recorder is not None:
            self.recorder.forget()


def check_division(config: RunConfig, group: Group) -> None:
    """Raises UserError unless ``batch_size`` is a multiple of the processes times ``accumulate``."""
    size, parts = config.training.batch_size, group.part.count * config.training.accumulate
    if size % parts:
        raise UserError(
            f"A batch of {size} cannot be divided into {parts} equal parts"
            f" ({group.part.count} processes × training.accumulate={config.training.accumulate})",
            f"add --set training.batch_size={max(1, round(size / parts)) * parts}",
        )


def constrained(net: nn.Module, parameters: list[nn.Parameter]) -> list[Any]:
    """The layers whose weights are among ``parameters`` and must stay within bounds: they have a ``constrain_()``."""
    own = {id(parameter) for parameter in parameters}
    layers = [layer for layer in net.modules() if hasattr(layer, "constrain_")]
    return [layer for layer in layers if any(id(parameter) in own for parameter in layer.parameters(recurse=False))]


def _load(net: nn.Module, prefix: str, tensors: dict[str, torch.Tensor]) -> None:
    net.load_state_dict({key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)})
