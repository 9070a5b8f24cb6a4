"""What learns: a method, its optimisers and moving averages, one step at a time. Its whole state is tensors and JSON.

Every random number of step ``n`` comes from a stream named by (seed, n): a learner restored at step ``n`` goes on exactly as
one that never stopped.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from allaprima.core.device import Device
from allaprima.core.seeds import derive, torch_stream
from allaprima.data.augment import apply
from allaprima.data.batch import Batch
from allaprima.methods import Method, Moment
from allaprima.training import optimizers
from allaprima.training.checkpoint import flatten_optimizer, restore_optimizer
from allaprima.training.config import RunConfig
from allaprima.training.ema import Ema

SPIKE = 1e3  # a gradient this many times the usual norm is a fault, not a signal
NORM_MEMORY = 0.98
STEPS_BEFORE_SPIKES = 50


class Learner:
    """``condition`` is a condition's Config, ``num_pictures`` those trained on (0: not known).

    What is ``auto`` in ``config`` becomes the method's recommendation.
    """

    def __init__(
        self, config: RunConfig, shape: Any, condition: Any, device: Device, seed: int, num_pictures: int = 0
    ) -> None:
        config = config.with_recommended()
        self.config, self.device, self.seed, self.num_pictures = config, device, seed, num_pictures
        # The only use of torch's global generator: initial weights. Whoever called us gets theirs back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "weights"))
            method: Method = config.method.build(shape, condition)
        layout = torch.channels_last if len(shape.spatial) == 2 else torch.contiguous_format
        self.method = method.train().to(device.torch)
        self.method.to(memory_format=layout)  # type: ignore[call-overload]  # torch's stub knows no such call
        self.layout = layout
        self.ema = Ema(self.method.exported())
        self.parameters = {phase: list(method.parameters_of(phase)) for phase in method.phases}
        self.optimizers = {
            phase: optimizers.build(config.training, self.parameters[phase], device.torch) for phase in method.phases
        }
        self.step_number = 0
        self.learning_rate_scale = 1.0
        self.usual_norm = dict.fromkeys(method.phases, 0.0)
        self.faults = 0  # steps in a row that were skipped

    @property
    def num_images_seen(self) -> int:
        return self.step_number * self.config.training.batch_size

    def step(self, batch: Batch, total_images: int) -> dict[str, float]:
        """One step of every phase; the losses by name. A non-finite or absurd gradient skips the phase and counts a fault."""
        seen = self.num_images_seen
        progress = min(1.0, seen / total_images)
        rate = optimizers.learning_rate(self.config.training, progress, seen) * self.learning_rate_scale
        batch = self._prepare(batch)
        shown, faulty = {}, False
        for phase in self.method.phases:
            epochs = total_images / self.num_pictures if self.num_pictures else 1.0
            moment = Moment(progress, self._stream(phase), epochs)
            losses, fine = self._descend(phase, batch, moment, rate)
            shown.update(losses)
            faulty |= not fine
        self.faults = self.faults + 1 if faulty else 0
        self.step_number += 1
        half_life = self.config.training.ema_half_life * total_images
        self.ema.update(self.method.exported(), len(batch), self.num_images_seen, half_life)
        return shown

    def _stream(self, name: str) -> torch.Generator:
        return torch_stream(self.seed, name, self.step_number, device=self.device.torch)

    def _prepare(self, batch: Batch) -> Batch:
        names = self.config.training.augment
        samples = apply(names, batch.samples, 1.0, self._stream("augment")) if names else batch.samples
        return Batch(samples.contiguous(memory_format=self.layout), batch.ids, batch.conditions)

    def _descend(self, phase: str, batch: Batch, moment: Moment, rate: float) -> tuple[dict[str, float], bool]:
        own = self.parameters[phase]
        # Weights of other phases need no gradient now: the backward pass through them is a third cheaper.
        self.method.requires_grad_(False)
        for parameter in own:
            parameter.requires_grad_(True)
        # running statistics move in the forward pass already: a fault must be able to take them back
        before = [buffer.clone() for buffer in self.method.buffers()]
        with self.device.autocast():
            losses = self.method.step(phase, batch, moment)
        total = torch.stack([loss for name, loss in losses.items() if name not in self.method.watched]).sum()
        optimizer = self.optimizers[phase]
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        fine = self._is_fine(phase, total, own)
        if fine:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        else:
            for buffer, kept in zip(self.method.buffers(), before, strict=True):
                buffer.copy_(kept)
        return {name: float(loss.detach()) for name, loss in losses.items()}, fine

    def _is_fine(self, phase: str, total: torch.Tensor, own: list[torch.nn.Parameter]) -> bool:
        gradients = [parameter.grad for parameter in own if parameter.grad is not None]
        norm = float(torch.nn.utils.get_total_norm(gradients))
        usual = self.usual_norm[phase]
        spike = self.step_number >= STEPS_BEFORE_SPIKES and norm > SPIKE * usual
        if not math.isfinite(norm) or not math.isfinite(float(total.detach())) or spike:
            return False
        self.usual_norm[phase] = norm if usual == 0 else NORM_MEMORY * usual + (1 - NORM_MEMORY) * norm
        limit = self.config.training.clip
        if limit is not None and norm > limit:
            torch._foreach_mul_(gradients, limit / norm)
        return True

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
            "usual_norm": self.usual_norm,
            "faults": self.faults,
        }

    def restore(self, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        """The reverse of ``tensors`` and ``state``."""
        _load(self.method, "method.", tensors)
        for name, net in self.ema.nets.items():
            _load(net, f"ema.{name}.", tensors)
        for phase, optimizer in self.optimizers.items():
            restore_optimizer(phase, optimizer, tensors)
        self.step_number = state["step_number"]
        self.learning_rate_scale = state["learning_rate_scale"]
        self.usual_norm = dict(state["usual_norm"])
        self.faults = state["faults"]


def _load(net: torch.nn.Module, prefix: str, tensors: dict[str, torch.Tensor]) -> None:
    net.load_state_dict({key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)})
