"""How fast does training go, and how much of the machine's convolution peak does it use?

The default GAN and VAE at 32 and 64 px: images/s of whole steps (optimiser and moving average included) and their
floating-point operations as a share of what a large 3×3 convolution reaches in the same run, same precision and threads.

Operations are counted by hand (torch's counter does not see ``autograd.grad``): a forward pass costs F; with the backward
pass 3 F, or 2 F where only inputs or only weights need a gradient; R1 or R2 costs 4 F of the samples it is computed on
(forward, gradient of the input, and twice that for the weights of both).

    python benchmarks/train_speed.py [--seconds 6] [--methods gan] [--set method.generator.width=64 ...]

The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence

import torch
from torch import nn

import allaprima  # noqa: F401 - sets how threads wait, before they start
from allaprima.core.config import load
from allaprima.core.device import Device
from allaprima.data.batch import Batch
from allaprima.domains import Shape
from allaprima.models.conditions import none
from allaprima.training.config import RunConfig
from allaprima.training.learner import Learner

ROUNDS = 3


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
    discriminator = forward_flops(method.discriminator, x, y)
    share = learner.config.method.penalty_share
    # D's phase: G forward, D forward and backward on real and fake, R1 and R2 on a share.
    # G's phase: G forward and backward, D forward and backward to its input on the fake, D forward on the real.
    return generator * (1 + 3) + discriminator * (2 * 3 + 2 * 4 * share + 2 + 1)


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
    shape, batch_size = Shape(3, (size, size)), config.training.batch_size
    learner = Learner(config, shape, none.Config(), device, seed=0)
    samples = (torch.rand(batch_size, 3, size, size) * 2 - 1).to(device.torch)
    batch = Batch(samples, torch.arange(batch_size, device=device.torch))
    flops = step_flops(learner, shape) if device.torch.type == "cpu" else float("nan")
    speeds, shares = [], []
    for _ in range(ROUNDS):
        peak = convolution_peak(device, seconds / 4)
        speeds.append(batch_size * rate(lambda: learner.step(batch, 10**9), device, seconds))
        shares.append(speeds[-1] * flops / peak)
    return {
        "images_per_second": round(statistics.median(speeds), 1),
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
