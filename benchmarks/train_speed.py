"""How fast does training go, and how much of the machine's convolution peak does it use?

The default GAN and VAE at 32 and 64 px: images/s of whole steps (optimiser and moving average included) and their
floating-point operations as a share of what a large 3×3 convolution reaches in the same run, same precision and threads;
and how many times as fast as a plain loop of the same nets, eager and in float32 (without TF32 on CUDA).

Operations are counted by hand (torch's counter does not see ``autograd.grad``): a forward pass costs F; with the backward
pass 3 F, or 2 F where only inputs or only weights need a gradient; R1 or R2 costs 4 F of the samples it is computed on
(forward, gradient of the input, and twice that for the weights of both).

    python benchmarks/train_speed.py [--seconds 6] [--methods gan] [--set method.generator.width=64 ...]

The last line is JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn
from torch.nn.functional import softplus

import allaprima  # noqa: F401 - sets how threads wait, before they start
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.models.conditions import none
from allaprima.training import planner
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner

ROUNDS = 3
PICTURES, USUAL_IMAGES = 10_000, 200_000  # what the nets' width and the batch are chosen for


def forward_flops(net: nn.Module, *inputs: torch.Tensor) -> float:
    """Two operations for each multiplication of the convolutions and dense layers of one forward pass, for one sample."""
    total = 0.0

    def count(layer: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        weight = layer.weight
        assert isinstance(weight, torch.Tensor)
        # a convolution uses its whole kernel at each place of its output, a transposed one at each place of its input
        map_ = given[0] if isinstance(layer, nn.ConvTranspose2d) else output
        places = map_[0, 0].numel() if weight.dim() > 2 else 1
        total += 2 * weight.numel() * places

    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        net(*inputs)
    for hook in hooks:
        hook.remove()
    return total


def step_flops(learner: Learner, shape: Shape) -> float:
    """Operations of one step, for each image of the batch."""
    method = learner.method
    x, y = torch.zeros(1, shape.channels, *shape.spatial), torch.zeros(1, 0)
    generator = forward_flops(method.generator, torch.zeros(1, method.latent_dim), y)
    if hasattr(method, "encoder"):
        return 3 * (generator + forward_flops(method.encoder, x, y))
    discriminator = forward_flops(method.adversary.discriminator, x, y)
    share = learner.config.method.penalty_share
    # D's phase: G forward, D forward and backward on real and fake, R1 and R2 on a share.
    # G's phase: D forward and backward to its input on the fake, G backward.
    return generator * 3 + discriminator * (2 * 3 + 2 * 4 * share + 2)


def plain_loop(config: RunConfig, shape: Shape, x: torch.Tensor) -> Callable[[], None]:
    """A step of the same nets as a textbook has it: eager, float32, default memory format and optimiser, nothing reused.

    GAN: relativistic loss, R1 and R2 on the same share; VAE: the best σ and the divergence. Both with a moving average.
    """
    method = config.method.build(shape, none.Config()).to(x.device)
    averages = [(net, copy.deepcopy(net)) for net in method.exported().values()]
    y = x.new_zeros(len(x), 0)

    def average() -> None:
        with torch.no_grad():
            for net, averaged in averages:
                for kept, parameter in zip(averaged.parameters(), net.parameters(), strict=True):
                    kept.lerp_(parameter, 0.001)

    if hasattr(method, "encoder"):
        optimizer = torch.optim.Adam(method.parameters(), 1e-4)

        def step() -> None:
            mean, log_variance = method.encoder(x, y)
            decoded = method.generator(mean + torch.randn_like(mean) * (log_variance / 2).exp(), y)
            divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1).mean()
            loss = x[0].numel() / 2 * (decoded - x).square().mean().log() + divergence
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average()

        return step

    generator, discriminator = method.generator, method.adversary.discriminator
    optimizers = {net: torch.optim.Adam(net.parameters(), 1e-4, (0.0, 0.99)) for net in (generator, discriminator)}
    few = max(1, round(len(x) * config.method.penalty_share))

    def energy(samples: torch.Tensor) -> torch.Tensor:
        samples = samples.detach().requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(samples, y[:few]).sum(), samples, create_graph=True)
        return slope.square().flatten(1).sum(1).mean() / 2

    def learn(net: nn.Module, loss: torch.Tensor) -> None:
        optimizers[net].zero_grad()
        loss.backward()
        optimizers[net].step()

    def paint() -> torch.Tensor:
        return generator(torch.randn(len(x), method.latent_dim, device=x.device), y)

    def duel() -> None:
        discriminator.requires_grad_(True)
        with torch.no_grad():
            fake = paint()
        loss = softplus(discriminator(fake, y) - discriminator(x, y)).mean() + energy(x[:few]) + energy(fake[:few])
        learn(discriminator, loss)
        discriminator.requires_grad_(False)
        learn(generator, softplus(discriminator(x, y) - discriminator(paint(), y)).mean())
        average()

    return duel


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Float32 as it is without being asked otherwise: no TF32."""
    places = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [place.allow_tf32 for place in places]
    for place in places:
        place.allow_tf32 = False
    yield
    for place, allowed in zip(places, before, strict=True):
        place.allow_tf32 = allowed


def convolution_peak(device: Device, seconds: float) -> float:
    """FLOP/s of a 3×3 convolution, 256 → 256 channels at 32 × 32, batch 16, in the training precision and layout."""
    dtype = torch.bfloat16 if device.precision == "bf16" else torch.float32
    layer = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(device.torch, dtype, memory_format=torch.channels_last)
    x = torch.randn(16, 256, 32, 32).to(device.torch, dtype, memory_format=torch.channels_last)
    each = 2 * 256 * 256 * 9 * 32 * 32 * 16
    with torch.inference_mode():
        return each * rate(lambda: layer(x), device, seconds)


def rate(call: object, device: Device, seconds: float) -> float:
    """Calls a second, after a warm-up."""
    assert callable(call)
    for _ in range(3):
        call()
    _wait(device)
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        call()
        calls += 1
    _wait(device)
    return calls / (time.perf_counter() - start)


def _wait(device: Device) -> None:
    if device.torch.type == "cuda":
        torch.cuda.synchronize()


def measure(method: str, size: int, device: Device, seconds: float, changes: Sequence[str]) -> dict[str, float]:
    """Medians over rounds, each with its own peak, so that a drifting machine drifts in both."""
    config = load(RunConfig, {}, [f"method={method}", "condition=none", *changes])
    config = planner.for_images(config, PICTURES, USUAL_IMAGES).config
    shape, batch_size = Shape(3, (size, size)), config.training.batch_size
    learner = Learner(config, shape, none.Config(), device, seed=0)
    samples = (torch.rand(batch_size, 3, size, size) * 2 - 1).to(device.torch)
    batch = Batch(samples, torch.arange(batch_size, device=device.torch))
    flops = step_flops(learner, shape) if device.torch.type == "cpu" else float("nan")
    plain = plain_loop(config, shape, samples)
    speeds, shares, ratios = [], [], []
    for _ in range(ROUNDS):
        peak = convolution_peak(device, seconds / 4)
        speeds.append(batch_size * rate(lambda: learner.step(batch, 10**9), device, seconds))
        shares.append(speeds[-1] * flops / peak)
        with exact_float32():
            ratios.append(speeds[-1] / (batch_size * rate(plain, device, seconds)))
    return {
        "images_per_second": round(statistics.median(speeds), 1),
        "times_a_plain_loop": round(statistics.median(ratios), 2),
        "mflop_per_image": round(flops / 1e6, 1),
        "share_of_peak": round(statistics.median(shares), 3),
        "peak_gflops": round(peak / 1e9, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="a round's length")
    parser.add_argument("--methods", nargs="+", default=["gan", "vae"], help="which methods")
    parser.add_argument("--set", nargs="+", default=[], help="settings other than the defaults: key=value")
    asked = parser.parse_args()
    device = Device.choose()
    print(device.describe())
    found = {}
    for method in asked.methods:
        for size in (32, 64):
            found[f"{method}_{size}"] = result = measure(method, size, device, asked.seconds, asked.set)
            print(method, size, result, flush=True)
    print(json.dumps({"benchmark": "train_speed", "device": device.describe(), **found}))


if __name__ == "__main__":
    main()
