"""lightweight_gan (https://github.com/lucidrains/lightweight-gan), the defaults of its command line at 32 px.

After Liu et al. 2021, "Towards faster and stabilized GAN training". Batch 10 with 4 batches gathered for a step, Adam
(0.5, 0.9) with 2e-4, attention at 32 px, its automatic augmentation (translation and cutout, more of it the fewer pictures
there are). Grey pictures with its own ``greyscale``. Its moving average begins after 20,000 steps, out of reach here, so
the generator itself is shown.

On a CPU it is very slow, at 32 px too, because of the attention in its discriminator, whose branch for 32 px no option
switches off, and of an auxiliary decoder that paints 128 px. Fewer channels (``--fmap-max``) do not change that, so there
is no narrower sibling.

It asserts CUDA when it is imported, and asks for ``cuda:0``; both are worked around from outside.
"""

from __future__ import annotations

import copy
from typing import Any

PACKAGE = "lightweight"
INSTALL = (
    ("--no-deps", "lightweight_gan==1.2.1", "adabelief-pytorch", "torchvision==0.28.0"),
    ("colorama", "einops", "fire", "kornia", "retry", "tabulate", "tqdm"),
)
LINES = {"lightweight": {"lightweight": "lightweight_gan"}}
SETTINGS = {"lightweight": "the defaults of its command line: batch 10 × 4, Adam with 2e-4, automatic augmentation"}
BATCH_SIZE, GATHERED = 10, 4


def race(name: str, stage: Any) -> None:
    import torch

    from benchmarks._race import peers

    operators = peers.declare_torchvision_operators()
    with peers.pretended_cuda():
        from lightweight_gan import lightweight_gan as package
    peers.stay_on_cpu(package)

    assert operators is not None
    channels = stage.pictures.shape[3]
    pictures = peers.as_floats(stage.pictures, 0, channels)

    stage.start()

    class Quiet(package.Trainer):
        """Sheets of samples and checkpoints would only cost it time."""

        def save(self, num: int) -> None: ...

        def evaluate(self, num: int = 0, num_image_tiles: int = 4) -> None: ...

    package.ImageDataset = lambda folder, image_size, **_: peers.Items(pictures)
    trainer = Quiet(
        image_size=32,
        greyscale=channels == 1,
        batch_size=BATCH_SIZE,
        gradient_accumulate_every=GATHERED,
        attn_res_layers=[32],
        disc_output_size=1,
        aug_types=["cutout", "translation"],
        lr=2e-4,
        num_workers=0,
        use_aim=False,
    )
    trainer.set_data_src("pictures")

    def snapshot() -> dict[str, Any]:
        generator = copy.deepcopy(trainer.GAN.G).eval()
        return {
            name: peers.in_parts(lambda count: generator(torch.randn(count, trainer.latent_dim)), 0, channels, part=100)
        }

    num_images_seen = 0
    while True:
        trainer.train()
        num_images_seen += BATCH_SIZE * GATHERED
        stage.look(num_images_seen, snapshot)
