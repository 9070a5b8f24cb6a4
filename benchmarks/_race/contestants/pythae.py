"""pythae: autoencoders with a sampler behind them (Chadebec et al. 2022, https://github.com/clementchadebec/benchmark_VAE).

Nets: the package's own residual ones for 32 px in three channels, ``pythae.models.nn.benchmarks.cifar``; its other ones
for that size, plain convolutions 1,024 wide, cost twenty times as much, and a core trains on a dozen pictures a second with
them. VAEGAN's discriminator exists as the plain one alone. ``pythae-vae-mlp`` has the dense nets that the package builds
when none are given. Settings: its published ones (``examples/scripts/configs/cifar10`` and ``mnist``): batch 100, Adam,
step 1e-3, 16 latent dimensions, squared error; RAE-L2 with embedding weight 1e-2 and weight decay 1e-4; VAEGAN with scale
0.8, layer 3, margin 0.4, equilibrium 0.68.

Its own pipeline trains. The Gaussian mixture has 10 components, its default, and is fitted on 5,000 of the training
pictures when a mark is painted; that time is not counted, to its advantage.
"""

from __future__ import annotations

import copy
import os
from typing import Any

PACKAGE = "pythae"
INSTALL = (("pythae==0.1.2",),)
LINES = {
    "pythae-vae": {"pythae-vae": "pythae VAE, N(0,I)", "pythae-vae-gmm": "pythae VAE, Gaussian mixture"},
    "pythae-vae-mlp": {
        "pythae-vae-mlp": "pythae VAE of dense nets, N(0,I)",
        "pythae-vae-mlp-gmm": "pythae VAE of dense nets, Gaussian mixture",
    },
    "pythae-rae": {"pythae-rae-gmm": "pythae RAE-L2, Gaussian mixture"},
    "pythae-vaegan": {"pythae-vaegan": "pythae VAEGAN, N(0,I)", "pythae-vaegan-gmm": "pythae VAEGAN, Gaussian mixture"},
}
PUBLISHED = "its residual CIFAR nets and published settings (batch 100, step 1e-3, 16 latent dimensions)"
SETTINGS = {
    "pythae-vae": PUBLISHED,
    "pythae-vae-mlp": "its default nets (dense, 512 wide), otherwise as its published settings",
    "pythae-rae": PUBLISHED,
    "pythae-vaegan": PUBLISHED,
}
FOR_MIXTURE = 5_000


def race(name: str, stage: Any) -> None:
    import numpy as np
    from pythae import models, trainers
    from pythae.models.nn.benchmarks import cifar
    from pythae.pipelines import TrainingPipeline
    from pythae.samplers import GaussianMixtureSampler, NormalSampler
    from pythae.trainers.training_callbacks import TrainingCallback

    from benchmarks._race import peers

    channels = stage.pictures.shape[3]
    pictures = peers.as_floats(stage.pictures, 0, 3)
    chosen = np.random.default_rng(stage.job["seed"]).permutation(len(pictures))[:FOR_MIXTURE]

    stage.start()
    model = build(name, models, cifar)
    kind = {
        "pythae-rae": trainers.CoupledOptimizerTrainerConfig,
        "pythae-vaegan": trainers.CoupledOptimizerAdversarialTrainerConfig,
    }.get(name, trainers.BaseTrainerConfig)
    steps = {
        f"{part}_learning_rate": 1e-3
        for part in ("encoder", "decoder", "discriminator")
        if hasattr(kind, f"{part}_learning_rate")
    }
    config = kind(
        output_dir=os.getcwd(),
        per_device_train_batch_size=100,
        num_epochs=1_000_000,  # the clock ends it
        learning_rate=1e-3,
        seed=stage.job["seed"],
        no_cuda=True,
        **steps,
    )

    def sampler(kept: Any, mixture: bool) -> Any:
        def paint(count: int) -> np.ndarray:
            source = GaussianMixtureSampler(kept) if mixture else NormalSampler(kept)
            if mixture:
                source.fit(pictures[chosen])
            return peers.as_pictures(source.sample(num_samples=count, batch_size=250), 0, channels)

        return paint

    def snapshot() -> dict[str, Any]:
        kept = copy.deepcopy(model).eval()
        return {line: sampler(kept, line.endswith("-gmm")) for line in LINES[name]}

    class Look(TrainingCallback):
        num_images_seen = 0

        def on_train_step_end(self, training_config: Any, **_: Any) -> None:
            Look.num_images_seen += 100
            stage.look(Look.num_images_seen, snapshot)

    TrainingPipeline(model=model, training_config=config)(train_data=pictures, callbacks=[Look()])


def build(name: str, models: Any, cifar: Any) -> Any:
    """The package's model of that name for pictures of 3 × 32 × 32."""
    size = {"input_dim": (3, 32, 32), "latent_dim": 16}
    if name == "pythae-rae":
        config = models.RAE_L2_Config(**size, embedding_weight=1e-2, reg_weight=1e-4)
        return models.RAE_L2(config, cifar.Encoder_ResNet_AE_CIFAR(config), cifar.Decoder_ResNet_AE_CIFAR(config))
    if name == "pythae-vaegan":
        config = models.VAEGANConfig(
            **size, adversarial_loss_scale=0.8, reconstruction_layer=3, margin=0.4, equilibrium=0.68
        )
        nets = (
            cifar.Encoder_ResNet_VAE_CIFAR(config),
            cifar.Decoder_ResNet_AE_CIFAR(config),
            cifar.Discriminator_Conv_CIFAR(config),
        )
        return models.VAEGAN(config, *nets)
    config = models.VAEConfig(**size, reconstruction_loss="mse")
    if name == "pythae-vae-mlp":
        return models.VAE(config)
    return models.VAE(config, cifar.Encoder_ResNet_VAE_CIFAR(config), cifar.Decoder_ResNet_AE_CIFAR(config))
