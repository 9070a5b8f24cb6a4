"""stylegan2_pytorch (https://github.com/lucidrains/stylegan2-pytorch), the defaults of its command line at 32 px.

Capacity 16, batch 5 with 6 batches gathered for a step, Adam (0.5, 0.9) with 2e-4 and 1.5 times that for the
discriminator, style mixing 0.9, gradient penalty every fourth step, no augmentation. Its moving average begins after 20,000
steps, out of reach here, so the generator itself is shown: as it is, and with the truncation 0.75 of its command line.
A core trains on ten pictures a second with it; ``stylegan2-narrow`` runs beside it, the same with capacity 4.

It asserts CUDA when it is imported, and calls ``.cuda()`` on everything; both are worked around from outside.
"""

from __future__ import annotations

import copy
from typing import Any

PACKAGE = "stylegan2"
INSTALL = (
    ("--no-deps", "stylegan2_pytorch==1.9.0", "vector-quantize-pytorch==0.1.0", "torchvision==0.28.0"),
    ("einops", "fire", "kornia", "retry", "tqdm"),
)
LINES = {
    "stylegan2": {
        "stylegan2": "stylegan2_pytorch",
        "stylegan2-truncated": "stylegan2_pytorch, truncation 0.75",
    },
    "stylegan2-narrow": {
        "stylegan2-narrow": "stylegan2_pytorch, capacity 4",
        "stylegan2-narrow-truncated": "stylegan2_pytorch, capacity 4, truncation 0.75",
    },
}
SETTINGS = {
    "stylegan2": "the defaults of its command line: capacity 16, batch 5 × 6, Adam with 2e-4",
    "stylegan2-narrow": "the defaults of its command line but for --network-capacity 4",
}
BATCH_SIZE, GATHERED = 5, 6


def race(name: str, stage: Any) -> None:
    import torch

    from benchmarks._race import peers

    operators = peers.declare_torchvision_operators()
    peers.stub("aim")
    with peers.pretended_cuda():
        from stylegan2_pytorch import stylegan2_pytorch as package
    peers.stay_on_cpu(package)

    assert operators is not None
    channels = stage.pictures.shape[3]
    pictures = peers.as_floats(stage.pictures, 0, 3)

    stage.start()

    class Quiet(package.Trainer):
        """Sheets of samples and checkpoints would only cost it time."""

        def save(self, num: int) -> None: ...

        def evaluate(self, num: int = 0, trunc: float = 1.0) -> None: ...

    package.Dataset = lambda folder, image_size, **_: peers.Items(pictures)
    trainer = Quiet(
        image_size=32,
        network_capacity=4 if name == "stylegan2-narrow" else 16,
        batch_size=BATCH_SIZE,
        gradient_accumulate_every=GATHERED,
        lr=2e-4,
        ttur_mult=1.5,
        mixed_prob=0.9,
        trunc_psi=0.75,
        num_workers=0,
    )
    trainer.set_data_src("pictures")

    def snapshot() -> dict[str, Any]:
        style, generator = copy.deepcopy(trainer.GAN.S).eval(), copy.deepcopy(trainer.GAN.G).eval()
        dim, layers = generator.latent_dim, generator.num_layers

        def painter(truncation: float) -> Any:
            with torch.no_grad():
                mean = style(torch.randn(2000, dim)).mean(0, keepdim=True)

            def paint(count: int) -> torch.Tensor:
                w = mean + truncation * (style(torch.randn(count, dim)) - mean)
                return generator(w[:, None].expand(-1, layers, -1), torch.rand(count, 32, 32, 1))

            return peers.in_parts(paint, 0, channels, part=100)

        return {name: painter(1.0), f"{name}-truncated": painter(trainer.trunc_psi)}

    num_images_seen = 0
    while True:
        trainer.train()
        num_images_seen += BATCH_SIZE * GATHERED
        stage.look(num_images_seen, snapshot)
