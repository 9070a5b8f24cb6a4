"""Mimicry (Lee and Town 2020, https://github.com/kwotsin/mimicry): SNGAN by its own trainer, settings of its README.

Batch 64, five steps of the discriminator for one of the generator, hinge loss, Adam (0, 0.9) with step 2e-4, which falls
linearly over 100,000 steps. ``mimicry-sngan-wide`` has the published widths, 256 and 128 channels, made for a GPU: one core
sees a few thousand pictures in five minutes. So ``mimicry-sngan`` runs beside it, the same with 64 channels in both nets.

Its metrics need TensorFlow 1, which is not used here, and its datasets a module that PyTorch no longer has: both are stubs.
"""

from __future__ import annotations

import copy
from typing import Any

PACKAGE = "mimicry"
INSTALL = (
    ("--no-deps", "torch-mimicry==0.1.16", "torchvision==0.28.0"),
    ("scikit-learn", "scikit-image", "matplotlib", "tensorboard", "requests", "six", "psutil"),
)
LINES = {
    "mimicry-sngan": {"mimicry-sngan": "mimicry SNGAN, 64 channels"},
    "mimicry-sngan-wide": {"mimicry-sngan-wide": "mimicry SNGAN, published width"},
}
SETTINGS = {
    "mimicry-sngan": "its README's settings, 64 channels in both nets",
    "mimicry-sngan-wide": "its README's settings, 256 and 128 channels",
}
DISCRIMINATOR_STEPS = 5
BATCH_SIZE = 64


def race(name: str, stage: Any) -> None:
    import torch

    from benchmarks._race import peers

    operators = peers.declare_torchvision_operators()
    peers.stub("tensorflow")
    peers.stub("torch._six", PY3=True)
    from torch_mimicry.nets import sngan
    from torch_mimicry.training import Trainer

    assert operators is not None
    channels = stage.pictures.shape[3]
    pictures = peers.as_floats(stage.pictures, -1, 3)

    stage.start()
    wide = name.endswith("-wide")
    generator = sngan.SNGANGenerator32() if wide else sngan.SNGANGenerator32(ngf=64)
    discriminator = sngan.SNGANDiscriminator32() if wide else sngan.SNGANDiscriminator32(ndf=64)
    optimisers = {
        key: torch.optim.Adam(net.parameters(), 2e-4, betas=(0.0, 0.9))
        for key, net in (("optG", generator), ("optD", discriminator))
    }
    trainer = Trainer(
        netD=discriminator,
        netG=generator,
        **optimisers,
        n_dis=DISCRIMINATOR_STEPS,
        num_steps=100_000,
        lr_decay="linear",
        dataloader=peers.Batches(pictures, BATCH_SIZE),
        log_dir="log",
        device=torch.device("cpu"),
        print_steps=100,
        vis_steps=10**9,
        save_steps=10**9,
    )

    def snapshot() -> dict[str, Any]:
        kept = copy.deepcopy(generator).eval()
        return {name: peers.in_parts(lambda count: kept(torch.randn(count, kept.nz)), -1, channels)}

    decay = trainer.scheduler.step

    def watched(log_data: Any, global_step: int) -> Any:
        stage.look(global_step * DISCRIMINATOR_STEPS * BATCH_SIZE, snapshot)
        return decay(log_data=log_data, global_step=global_step)

    trainer.scheduler.step = watched  # the trainer calls it once, after each step
    trainer.train()
