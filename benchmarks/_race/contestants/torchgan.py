"""TorchGAN (Pal and Das 2021, https://github.com/torchgan/torchgan): DCGAN by its own trainer.

``torchgan-lsgan`` is its "Tutorial 1. Introduction to TorchGAN", which trains on grey pictures at 32 px: least squares
loss, 32 channels a step, batch 64, Adam (0.5, 0.999) with steps 1e-4 and 3e-4, leaky nonlinearities. ``torchgan-minimax``
is the documentation's "Starter Example" (``basic_example.rst``, CIFAR-10): minimax loss in the non-saturating form, 16
channels a step, batch 128, Adam (0.5, 0.999) with step 2e-4. Both get as many channels of colour as the pictures have.
"""

from __future__ import annotations

import copy
import os
from typing import Any

PACKAGE = "torchgan"
INSTALL = (("--no-deps", "torchgan==0.1.0", "torchvision==0.28.0"), ("scipy", "wget"))
LINES = {
    "torchgan-lsgan": {"torchgan-lsgan": "torchgan DCGAN, least squares"},
    "torchgan-minimax": {"torchgan-minimax": "torchgan DCGAN, minimax"},
}
SETTINGS = {
    "torchgan-lsgan": "its tutorial 1: 32 channels a step, batch 64, Adam with 1e-4 and 3e-4",
    "torchgan-minimax": "its starter example: 16 channels a step, batch 128, Adam with 2e-4",
}


def race(name: str, stage: Any) -> None:
    import torch

    from benchmarks._race import peers

    operators = peers.declare_torchvision_operators()
    os.environ.update(TENSORBOARD_LOGGING="0", VISDOM_LOGGING="0", CONSOLE_LOGGING="0")
    from torchgan import losses, models
    from torchgan.trainer import Trainer

    assert operators is not None
    channels = stage.pictures.shape[3]
    pictures = peers.as_floats(stage.pictures, -1, channels)

    stage.start()
    tutorial = name == "torchgan-lsgan"
    batch_size = 64 if tutorial else 128
    nets = {
        "generator": (models.DCGANGenerator, {"out_channels": channels}, 1e-4 if tutorial else 2e-4),
        "discriminator": (models.DCGANDiscriminator, {"in_channels": channels}, 3e-4 if tutorial else 2e-4),
    }
    if tutorial:
        shared = {"step_channels": 32, "nonlinearity": torch.nn.LeakyReLU(0.2)}
        nets["generator"][1].update(shared, encoding_dims=100, last_nonlinearity=torch.nn.Tanh())
        nets["discriminator"][1].update(shared, last_nonlinearity=torch.nn.LeakyReLU(0.2))
        goals = [losses.LeastSquaresGeneratorLoss(), losses.LeastSquaresDiscriminatorLoss()]
    else:
        for _, arguments, _ in nets.values():
            arguments.update(step_channels=16)
        goals = [losses.MinimaxGeneratorLoss(), losses.MinimaxDiscriminatorLoss()]
    network = {
        role: {
            "name": net,
            "args": arguments,
            "optimizer": {"name": torch.optim.Adam, "args": {"lr": lr, "betas": (0.5, 0.999)}},
        }
        for role, (net, arguments, lr) in nets.items()
    }

    class Watched(Trainer):
        num_images_seen = 0

        def train_iter(self) -> Any:
            told = super().train_iter()
            self.num_images_seen += batch_size
            stage.look(self.num_images_seen, self.snapshot)
            return told

        def snapshot(self) -> dict[str, Any]:
            generator = copy.deepcopy(self.generator).eval()
            return {name: peers.in_parts(lambda count: generator(torch.randn(count, 100)), -1, channels)}

        def save_model(self, epoch: int, save_items: Any = None) -> None:
            """Checkpoints after each epoch would only cost it time."""

    trainer = Watched(network, goals, sample_size=8, epochs=1_000_000, device=torch.device("cpu"))
    trainer.logger.run_end_epoch = lambda *_: None  # it draws a sheet, in words that torchvision no longer understands
    trainer(peers.Batches(pictures, batch_size))
