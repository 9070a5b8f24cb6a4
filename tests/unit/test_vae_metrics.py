"""The figures of autoencoders, against models whose likelihood is known in closed form and against torchmetrics."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from allaprima.bundle.bundle import Bundle
from allaprima.bundle.untrained import untrained
from allaprima.core.device import Device
from allaprima.data.dataset import Dataset
from allaprima.evaluation.features import FEATURES
from allaprima.evaluation.material import Material, gather
from allaprima.evaluation.metrics import Figure, NotMeasuredError, active_units, likelihood, reconstruction
from allaprima.evaluation.metrics._autoencoder import Encoded, encode
from allaprima.evaluation.sections import traversals
from allaprima.evaluation.sections._directions import strongest
from tests.conftest import write_tiny_dataset

DEVICE = Device(torch.device("cpu"), "fp32")
SIDE, LATENTS, VARIANCE = 4, 3, 0.01


class Linear:
    """p(x|z) = N(Wz + b, σ²I) with orthogonal columns of W: its posterior is diagonal, its likelihood known."""

    def __init__(self) -> None:
        draw = torch.Generator().manual_seed(0)
        columns = torch.linalg.qr(torch.randn(SIDE * SIDE, LATENTS, generator=draw)).Q
        self.W = columns * torch.tensor([0.9, 0.6, 0.3])
        self.b = 0.2 * torch.randn(SIDE * SIDE, generator=draw)

    def decode(self, z: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        return (z @ self.W.T + self.b).view(-1, 1, SIDE, SIDE)

    def draw(self, count: int) -> torch.Tensor:
        draw = torch.Generator().manual_seed(1)
        z = torch.randn(count, LATENTS, generator=draw)
        return self.decode(z) + VARIANCE**0.5 * torch.randn(count, 1, SIDE, SIDE, generator=draw)

    def encoded(self, samples: torch.Tensor, seed: int, name: str, shift: float = 0.0, widen: float = 1.0) -> Encoded:
        """With the posterior of what is measured, the dequantised pictures; or one ``shift`` σ beside and ``widen`` too wide."""
        labels = torch.zeros(len(samples), dtype=torch.int64)
        bare = Encoded(samples, labels, torch.zeros(len(samples), LATENTS), torch.zeros(len(samples), LATENTS))
        t = likelihood.dequantised(bare, seed, name).flatten(1)
        precision = 1 + self.W.square().sum(0) / VARIANCE
        mean = (t - self.b) @ self.W / VARIANCE / precision
        log_variance = -precision.log()
        return Encoded(
            samples,
            labels,
            mean + shift * (0.5 * log_variance).exp(),
            (log_variance + math.log(widen)).expand(len(samples), -1),
        )

    def truth(self, pictures: Encoded, seed: int) -> torch.Tensor:
        """log p(t) of the dequantised pictures, float64 ``[N]``."""
        t = likelihood.dequantised(pictures, seed, "measure").flatten(1).double()
        covariance = self.W.double() @ self.W.double().T + VARIANCE * torch.eye(SIDE * SIDE, dtype=torch.float64)
        return torch.distributions.MultivariateNormal(self.b.double(), covariance).log_prob(t)


@pytest.fixture(scope="module")
def linear() -> Linear:
    return Linear()


def test_with_the_exact_posterior_every_draw_gives_the_exact_likelihood(linear: Linear) -> None:
    pictures = linear.encoded(linear.draw(20), 0, "measure")
    weights = likelihood.log_weights(linear, pictures, VARIANCE, 5, seed=0)
    torch.testing.assert_close(weights, linear.truth(pictures, 0)[:, None].expand(-1, 5), atol=2e-2, rtol=0)


def test_elbo_is_below_importance_weighting_and_that_below_the_truth_which_it_reaches(linear: Linear) -> None:
    pictures = linear.encoded(linear.draw(50), 0, "measure", shift=0.7, widen=1.5)
    truth = float(linear.truth(pictures, 0).mean())
    weights = likelihood.log_weights(linear, pictures, VARIANCE, 3000, seed=0)

    def bound(draws: int) -> float:
        groups = weights.view(50, -1, draws)
        return float((groups.logsumexp(2) - math.log(draws)).mean())

    bounds = [bound(draws) for draws in (1, 5, 50, 3000)]
    assert bounds == sorted(bounds)
    assert bounds[0] < truth - 0.5
    assert bounds[-1] == pytest.approx(truth, abs=0.03)
    assert all(value < truth + 0.03 for value in bounds)


def test_a_single_draw_is_the_elbo_in_expectation(linear: Linear) -> None:
    """ELBO = log p - KL(q ‖ posterior), and that KL between Gaussians is known."""
    shift, widen = 0.5, 1.3
    pictures = linear.encoded(linear.draw(30), 0, "measure", shift, widen)
    weights = likelihood.log_weights(linear, pictures, VARIANCE, 2000, seed=0)
    kl = LATENTS * 0.5 * (widen + shift**2 - 1 - math.log(widen))
    error = 4 * float(weights.std()) / math.sqrt(weights.numel())
    assert float((weights.mean(1) - linear.truth(pictures, 0)).mean()) == pytest.approx(-kl, abs=max(error, 0.02))


def test_each_picture_has_its_own_draws_whatever_is_measured_beside_it(linear: Linear) -> None:
    samples = linear.draw(6)
    whole = likelihood.log_weights(linear, linear.encoded(samples, 3, "measure", 0.4), VARIANCE, 4, seed=3)
    part = likelihood.log_weights(linear, linear.encoded(samples[:2], 3, "measure", 0.4), VARIANCE, 4, seed=3)
    torch.testing.assert_close(part, whole[:2])
    assert not torch.allclose(whole[0] - whole[0].mean(), whole[1] - whole[1].mean())


def test_the_variance_that_is_fitted_is_that_of_the_pictures(linear: Linear) -> None:
    train = linear.encoded(linear.draw(500), 0, "fit")
    assert likelihood.fit_variance(linear, train, seed=0) == pytest.approx(VARIANCE, rel=0.05)


def test_the_fitted_variance_is_never_below_that_of_the_noise() -> None:
    samples = torch.zeros(50, 1, SIDE, SIDE)
    exact = SimpleNamespace(decode=lambda z, labels: torch.zeros(len(z), 1, SIDE, SIDE))
    nothing = torch.zeros(50, LATENTS)
    found = likelihood.fit_variance(exact, Encoded(samples, torch.zeros(50), nothing, nothing), seed=0)
    assert likelihood.LEAST_VARIANCE <= found < 1.1 * likelihood.LEAST_VARIANCE


def test_the_bound_is_a_distribution_over_256_levels() -> None:
    """One value, a decoder that knows nothing: 2^-bits summed over all levels is at most 1, and near it."""
    samples = (torch.arange(256) / 127.5 - 1).view(256, 1, 1, 1)
    constant = SimpleNamespace(decode=lambda z, labels: torch.full((len(z), 1, 1, 1), 0.1))
    none = torch.zeros(256, 1)  # q is the prior: z costs nothing
    pictures = Encoded(samples, torch.zeros(256, dtype=torch.int64), none, none)
    bits = likelihood.bits_per_dim(likelihood.log_weights(constant, pictures, 0.02, 1, seed=0).mean(1), 1)
    assert 0.97 < float((2**-bits).sum()) < 1.02


def test_the_uniform_distribution_costs_eight_bits() -> None:
    width = 256 / 127.5  # of all levels with their noise, in [-1, 1] and half a level beyond
    assert float(likelihood.bits_per_dim(torch.tensor(-10 * math.log(width)), 10)) == pytest.approx(8)


@pytest.mark.parametrize("side", [8, 32, 64, 256, 1024])
def test_large_pictures_get_less_effort_but_never_too_little(side: int) -> None:
    pictures, draws = likelihood.effort(side * side)
    assert 32 <= pictures <= 200
    assert 8 <= draws <= 64
    assert pictures * draws * side * side <= max(likelihood.PIXELS_DECODED, 32 * 8 * side * side)
    assert (pictures, draws) == (200, 64) or side > 32


# -- on bundles --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("vae") / "squares"
    write_tiny_dataset(folder, count=300)
    return Dataset.open(folder)


@pytest.fixture(scope="module")
def bundle(dataset: Dataset) -> Bundle:
    return untrained(16, classes=dataset.classes, latent_dim=6, encoder="residual")


def looked_at(dataset: Dataset, painter: Any) -> Material:
    pixels = FEATURES.get("pixels").load_or_train(dataset, DEVICE)
    return gather(Path("run"), dataset, painter, pixels, DEVICE, 20, "test", 0)


@pytest.fixture(scope="module")
def figures(dataset: Dataset, bundle: Bundle) -> dict[str, Figure]:
    material = looked_at(dataset, bundle)
    modules = (likelihood, reconstruction, active_units)
    return {figure.name: figure for module in modules for figure in module.measure(material)}


def test_every_figure_has_an_interval_about_it_and_says_how_many_pictures_it_saw(figures: dict[str, Figure]) -> None:
    assert list(figures) == ["ELBO, bits/dim", "likelihood, bits/dim", "PSNR, dB", "SSIM", "active units"]
    for figure in figures.values():
        assert figure.interval is not None
        assert figure.interval[0] <= figure.value <= figure.interval[1]
        assert "30" in figure.note  # pictures of the test split
        assert math.isfinite(figure.value)


def test_likelihood_is_in_bits_of_all_values_and_in_nats(figures: dict[str, Figure]) -> None:
    elbo, weighted = figures["ELBO, bits/dim"], figures["likelihood, bits/dim"]
    assert weighted.value < elbo.value
    assert weighted.ceiling == 8.0
    assert weighted.floor is None
    assert weighted.details["dimensions"] == 3 * 16 * 16
    assert -weighted.details["nats"] / (3 * 16 * 16) / math.log(2) == pytest.approx(weighted.value, rel=1e-6)


def test_random_weights_bring_nothing_back_that_the_mean_picture_would_not(figures: dict[str, Figure]) -> None:
    assert figures["PSNR, dB"].floor is not None
    assert figures["PSNR, dB"].value < figures["PSNR, dB"].floor
    assert figures["SSIM"].ceiling == 1.0


def test_generators_without_an_encoder_have_none_of_these_figures(dataset: Dataset) -> None:
    material = looked_at(dataset, untrained(16, classes=dataset.classes, latent_dim=6))
    for module in (likelihood, reconstruction, active_units):
        assert list(module.measure(material)) == []


def test_pictures_of_other_classes_are_refused_in_plain_words(dataset: Dataset) -> None:
    material = looked_at(dataset, untrained(16, classes=["one", "two"], latent_dim=6, encoder="residual"))
    with pytest.raises(NotMeasuredError, match="have a class that this generator knows"):
        list(likelihood.measure(material))


def test_pictures_without_a_class_are_left_out(dataset: Dataset, bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(dataset.folder, tmp_path / "d")
    labels = np.array(dataset.labels)
    labels[::2] = -1
    np.save(tmp_path / "d" / "labels.npy", labels)
    found = encode(bundle, Dataset.open(tmp_path / "d"), np.arange(20), most=7)
    assert found.labels.tolist() == labels[1:15:2].tolist()


def test_premultiplied_colour_is_brought_to_256_levels(tmp_path: Path) -> None:
    write_tiny_dataset(tmp_path / "d", count=30)
    plain = Dataset.open(tmp_path / "d")
    draw = np.random.default_rng(0)
    see_through = np.concatenate([plain.images, draw.integers(0, 256, (30, 16, 16, 1), dtype=np.uint8)], axis=-1)
    np.save(tmp_path / "d" / "images.npy", see_through)
    text = (tmp_path / "d" / "manifest.json").read_text().replace('"channels": 3', '"channels": 4')
    (tmp_path / "d" / "manifest.json").write_text(text)
    pictures = encode(untrained(16, 4, latent_dim=6, encoder="residual"), Dataset.open(tmp_path / "d"), np.arange(9), 9)
    levels = (pictures.samples + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    expected = see_through[:9, ..., :3].astype(float) * see_through[:9, ..., 3:] / 255
    assert np.abs(levels[:, :3].permute(0, 2, 3, 1).numpy() - expected).max() <= 0.51


def test_a_posterior_does_not_depend_on_its_neighbours_and_its_mean_is_the_code(bundle: Bundle) -> None:
    samples = torch.rand(21, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mean, log_variance = bundle.posterior(samples, label="red")
    assert mean.shape == log_variance.shape == (21, 6)
    torch.testing.assert_close(mean, bundle.encode(samples, label="red"))
    assert log_variance.abs().max() <= 20
    torch.testing.assert_close(bundle.posterior(samples[18:], label="red")[1], log_variance[18:], atol=1e-4, rtol=1e-4)


# -- reconstruction ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 32, 32), (4, 16, 24), (1, 11, 40)])
def test_psnr_and_ssim_equal_those_of_torchmetrics(shape: tuple[int, ...]) -> None:
    library = pytest.importorskip("torchmetrics.functional.image")
    draw = torch.Generator().manual_seed(0)
    real = torch.rand(5, *shape, generator=draw)
    copies = (real + 0.2 * torch.randn(5, *shape, generator=draw)).clamp(0, 1)
    theirs = library.structural_similarity_index_measure(copies, real, data_range=1.0, reduction="none")
    torch.testing.assert_close(reconstruction.ssim(copies, real), theirs, atol=1e-4, rtol=0)
    theirs = library.peak_signal_noise_ratio(copies, real, data_range=1.0, dim=(1, 2, 3), reduction="none")
    torch.testing.assert_close(reconstruction.psnr(copies, real), theirs)


def test_small_pictures_get_a_window_that_fits() -> None:
    library = pytest.importorskip("torchmetrics.functional.image")
    draw = torch.Generator().manual_seed(0)
    real, copies = torch.rand(2, 4, 1, 8, 9, generator=draw)
    theirs = library.structural_similarity_index_measure(copies, real, sigma=0.9, data_range=1.0, reduction="none")
    torch.testing.assert_close(reconstruction.ssim(copies, real), theirs, atol=1e-4, rtol=0)


def test_an_exact_copy_is_as_good_as_eight_bits_can_say() -> None:
    real = torch.rand(3, 1, 16, 16)
    torch.testing.assert_close(reconstruction.ssim(real, real), torch.ones(3))
    assert reconstruction.psnr(real, real).tolist() == pytest.approx([58.92] * 3, abs=0.01)


# -- active units and traversals ---------------------------------------------------------------------------------------


class Planted:
    """Encodes four means of the picture into dimensions 1, 2, 4 and 5 of six; the others are the prior."""

    classes: list[str] = []
    encoder = "planted"

    def __init__(self, dataset: Dataset) -> None:
        self.domain = dataset.domain

    def asked(self, count: int, seed: int = 0, label: Any = None) -> torch.Tensor:
        return torch.zeros(count, dtype=torch.int64)

    def posterior(self, samples: torch.Tensor, label: Any = None) -> tuple[torch.Tensor, torch.Tensor]:
        quarters = samples.mean(1).unflatten(1, (2, 8)).unflatten(3, (2, 8)).mean((2, 4)).flatten(1)
        mean, log_variance = torch.zeros(len(samples), 6), torch.zeros(len(samples), 6)
        mean[:, [1, 2, 4, 5]] = quarters * torch.tensor([8.0, 3.0, 5.0, 1e-3])
        log_variance[:, 1] = -2.0
        return mean, log_variance

    def decode(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        grey = z[:, 1].tanh().view(-1, 1, 1, 1)
        return grey.expand(-1, 3, 16, 16).clone()


def planted_material(dataset: Dataset) -> Material:
    places = dataset.indices("test")
    fields = {"painter": Planted(dataset), "dataset": dataset, "real_places": places, "seed": 0}
    fields |= {"withheld": False, "called": lambda name: name}
    return SimpleNamespace(**fields)  # type: ignore[return-value]


def test_units_that_move_with_the_picture_are_counted_and_no_others(dataset: Dataset) -> None:
    (figure,) = active_units.measure(planted_material(dataset))
    assert (figure.value, figure.ceiling, figure.interval) == (3.0, 6.0, (3.0, 3.0))
    mean, _ = Planted(dataset).posterior(dataset.domain.to_tensor(dataset.images[dataset.indices("test")]))
    assert figure.details["variance"] == pytest.approx(mean.var(0).tolist(), rel=1e-3, abs=1e-6)


def test_kl_of_each_dimension_follows_its_definition() -> None:
    mean, log_variance = torch.randn(40, 3), torch.randn(40, 3)
    found = active_units.kl_by_dimension(Encoded(torch.zeros(40), torch.zeros(40), mean, log_variance))
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).mean(0)
    torch.testing.assert_close(found, expected)


def test_a_traversal_begins_with_the_dimension_that_carries_most_and_moves_it_alone(dataset: Dataset) -> None:
    page = traversals.section(planted_material(dataset))
    assert page.index("dimension 1<") < page.index("dimension 4<") < page.index("dimension 2<")
    first, second = page.split('<div class="class">')[1:3]
    assert first.count("<img") == traversals.STEPS
    assert len(set(first.split("src=")[1:])) == traversals.STEPS, (
        "the first dimension changes the picture at every step"
    )
    pictures = [part.split('"')[1] for part in second.split("src=")[1:]]
    assert len(set(pictures)) == 1, "this decoder looks at dimension 1 alone"


@pytest.mark.parametrize("dim", [5, 80])
def test_the_strongest_directions_of_a_linear_generator_are_its_singular_vectors(dim: int) -> None:
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(n, n, generator=draw)).Q for n in (100, dim))
    strengths = torch.zeros(dim)
    strengths[:3] = torch.tensor([9.0, 4.0, 1.0])
    matrix = left[:, :dim] @ torch.diag(strengths) @ right.T
    painter = SimpleNamespace(
        domain=SimpleNamespace(shape=SimpleNamespace(spatial=(10, 10))),
        latents=lambda count, seed, asked: torch.randn(count, dim, generator=draw),
        asked=lambda count, seed: torch.zeros(count, dtype=torch.int64),
        decode=lambda z, y: z @ matrix.T,
    )
    values, vectors = strongest(painter, SimpleNamespace(extract=lambda x: x), 3, seed=0)
    if dim <= 64:  # the whole space is searched
        torch.testing.assert_close(values, strengths[:3], atol=1e-3, rtol=1e-3)
        torch.testing.assert_close((vectors @ right[:, :3]).abs(), torch.eye(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(3), atol=1e-4, rtol=0)
    assert float((vectors[0] @ right[:, 0]).abs()) > 0.7


def test_a_generator_shows_its_strongest_directions_with_one_class_throughout(dataset: Dataset) -> None:
    page = traversals.section(looked_at(dataset, untrained(16, classes=dataset.classes, latent_dim=6)))
    assert page.count('<div class="class">') == 6  # no more than there are dimensions
    assert page.count("<img") == 6 * traversals.STEPS
    assert "The class is" in page


def test_what_only_paints_has_no_traversals(dataset: Dataset) -> None:
    assert traversals.section(SimpleNamespace(painter=SimpleNamespace(encoder=None))) == ""  # type: ignore[arg-type]
