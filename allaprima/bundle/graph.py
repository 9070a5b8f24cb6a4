"""A generator as one graph, from latents to the bytes of pictures, and that graph as an ONNX file.

What engines and exports share: ``latents`` (or ``noise``) float32 ``[N, latent_dim]`` and, where something can be asked,
``asked`` float32 ``[N, condition_dim]`` (``Bundle.embed``) → ``pictures`` uint8 ``[N, *spatial, C]``, any N.

Use: ``export(bundle, Path("cats.onnx"))``.
"""

from __future__ import annotations

import copy
import importlib.util
import logging
import warnings
from pathlib import Path

import torch
from torch import nn

from allaprima.bundle.bundle import Bundle
from allaprima.core.errors import UserError
from allaprima.core.files import plain_disk_errors
from allaprima.domains.image import ImageDomain
from allaprima.models.generators import LaysOut

LATENTS, NOISE, ASKED, PICTURES = "latents", "noise", "asked", "pictures"
OPSET = 18  # what the exporter writes without converting; onnxruntime-web reads it
PACKAGES = ("onnx", "onnxscript")


class Graph(nn.Module):
    """Copies of the bundle's nets. With ``prior`` it begins at noise and goes through the prior, if there is one."""

    def __init__(self, bundle: Bundle, prior: bool = False) -> None:
        super().__init__()
        self.generator = copy.deepcopy(bundle.generator).cpu()
        self.prior = copy.deepcopy(bundle.prior).cpu() if prior and bundle.prior is not None else None
        self.first = NOISE if prior else LATENTS
        self.domain = bundle.domain
        self.conditioned = bundle.description.condition_dim > 0

    @property
    def inputs(self) -> list[str]:
        """The graph's inputs, in order."""
        return [self.first, ASKED] if self.conditioned else [self.first]

    def forward(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        if y is None:
            y = z[:, :0]
        if self.prior is not None:
            z = self.prior(z, y)
        return painted(self.domain, self.generator, z, y)


def painted(domain: ImageDomain, generator: nn.Module, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """What a painter does: latents ``[N, latent_dim]``, conditions ``[N, condition_dim]`` → uint8 ``[N, *spatial, C]``.

    A generator that lays its pixels out at the end (``models.generators.live``) has its bytes laid out, not its floats.
    """
    if isinstance(generator, LaysOut):
        return domain.to_stored(generator.cells(z, y), generator.lay)
    return domain.to_stored(generator(z, y))


def export(bundle: Bundle, path: Path, prior: bool = False) -> Graph:
    """Write the graph to ``path`` as ONNX, weights within. Raises UserError without the extra ``engines``."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"ONNX needs {' and '.join(missing)}, which is not installed", "pip install 'allaprima[engines]'"
        )
    graph = Graph(bundle, prior).eval()
    count = 2  # an example of one would make one the only size
    example = [torch.zeros(count, bundle.description.latent_dim)]
    if graph.conditioned:
        example.append(torch.zeros(count, bundle.description.condition_dim))
    batch = torch.export.Dim("batch", min=1, max=4096)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of every package that it could do without
    with warnings.catch_warnings(), plain_disk_errors(path), torch.no_grad():
        warnings.simplefilter(
            "ignore"
        )  # of the exporter's own deprecated parts; whether the result is right is measured
        program = torch.onnx.export(
            graph,
            tuple(example),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=tuple({0: batch} for _ in example),
            input_names=graph.inputs,
            output_names=[PICTURES],
            verbose=False,
        )
        assert program is not None
        path.parent.mkdir(parents=True, exist_ok=True)
        program.save(str(path))
    return graph
