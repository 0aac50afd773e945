"""The Gaussian process beside GPyTorch's and a closed form in NumPy."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from rung.errors import StudyError
from rung.models import torch_scope
from rung.models.botorch_gp import ITERATIONS, WARM, Kernel, cholesky, correlation
from rung.models.gp_posterior import Posterior
from rung.models.process import Data, Misfit
from rung.models.process import fit as fit_data
from rung.models.thompson import draw
from rung.models.torch_scope import scope

torch = pytest.importorskip("torch")
with scope():
    from botorch.models import SingleTaskGP
    from botorch.models.kernels import CategoricalKernel
    from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
    from gpytorch.constraints import GreaterThan
    from gpytorch.kernels import Kernel as GpytorchKernel
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.priors import LogNormalPrior

SHAPES = [(3, 0), (0, 2), (2, 3)]  # numbers, categories


def data(numbers: int, categories: int, n: int = 15, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = np.concatenate(
        [generator.random((n, numbers)), generator.integers(3, size=(n, categories)).astype(float)], axis=1
    )
    y = np.sin(4 * x[:, 0]) + 0.1 * generator.normal(size=n)
    return x, (y - y.mean()) / y.std()


def misfit_of(x: np.ndarray, numbers: int, y: np.ndarray) -> Misfit:
    return Misfit(Data(x, numbers, np.zeros(len(y)), y))


def fit(x: np.ndarray, numbers: int, y: np.ndarray, start: Kernel | None = None) -> Kernel:
    return fit_data(Data(x, numbers, np.zeros(len(y)), y), start, ITERATIONS if start is None else WARM)


def kernel_of(numbers: int, categories: int) -> Kernel:
    scales = tuple(0.3 + 0.2 * i for i in range(numbers + categories))
    return Kernel(scales, numbers, 0.03, 0.2)


def gpytorch_kernel(numbers: int, categories: int) -> GpytorchKernel:
    """BoTorch's own kernels; that of numbers has the prior of its models."""
    parts = []
    if numbers:
        parts.append(
            get_covar_module_with_dim_scaled_prior(
                ard_num_dims=numbers, use_rbf_kernel=False, active_dims=list(range(numbers))
            )
        )
    if categories:
        parts.append(
            CategoricalKernel(
                ard_num_dims=categories,
                active_dims=list(range(numbers, numbers + categories)),
                lengthscale_prior=LogNormalPrior(0.0, 1.0),
                lengthscale_constraint=GreaterThan(1e-3, transform=None),
            )
        )
    return parts[0] if len(parts) == 1 else parts[0] * parts[1]


def gpytorch_model(kernel: Kernel, x: np.ndarray, y: np.ndarray) -> SingleTaskGP:
    categories = x.shape[1] - kernel.numbers
    likelihood = GaussianLikelihood(
        noise_prior=LogNormalPrior(-4.0, 3.0), noise_constraint=GreaterThan(1e-6, transform=None)
    )
    covariance = gpytorch_kernel(kernel.numbers, categories)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = SingleTaskGP(
            torch.tensor(x),
            torch.tensor(y)[:, None],
            likelihood=likelihood,
            covar_module=covariance,
            outcome_transform=None,
        ).to(torch.float64)
    first = 0
    for part in getattr(covariance, "kernels", [covariance]):
        width = part.lengthscale.shape[-1]
        part.lengthscale = torch.tensor(kernel.scales[first : first + width], dtype=torch.float64)
        first += width
    model.likelihood.noise = kernel.noise
    model.mean_module.constant = kernel.mean
    return model


def closed_form(
    kernel: Kernel, x: np.ndarray, y: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and covariance, written out (Rasmussen, Williams 2006, equations 2.23 and 2.24)."""

    def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        c, scales = kernel.numbers, np.array(kernel.scales)
        r = np.sqrt(5) * cdist(a[:, :c] / scales[:c], b[:, :c] / scales[:c])
        total = (1 + r + r**2 / 3) * np.exp(-r) if c else np.ones((len(a), len(b)))
        if len(scales) > c:
            differs = a[:, None, c:] != b[None, :, c:]
            total = total * np.exp(-(differs / scales[c:]).mean(axis=-1))
        return total

    inverse = np.linalg.inv(covariance(x, x) + kernel.noise * np.eye(len(x)))
    cross = covariance(at, x)
    mean = kernel.mean + cross @ inverse @ (y - kernel.mean)
    return mean, covariance(at, at) - cross @ inverse @ cross.T


@pytest.mark.parametrize(("numbers", "categories"), SHAPES)
def test_posterior_is_the_closed_form_and_gpytorchs(numbers, categories):
    kernel, (x, y) = kernel_of(numbers, categories), data(numbers, categories)
    at = np.concatenate([data(numbers, categories, 7, 1)[0], x[:2]])
    with scope():
        posterior = Posterior(kernel, torch.tensor(x), torch.tensor(y))
        mean, variance = posterior.at(torch.tensor(at))
        _, covariance = posterior.joint(torch.tensor(at))
        model = gpytorch_model(kernel, x, y)
        model.eval()
        with torch.no_grad():
            reference = model.posterior(torch.tensor(at))
    expected, expected_covariance = closed_form(kernel, x, y, at)
    np.testing.assert_allclose(mean[:, 0], expected, atol=1e-9)
    np.testing.assert_allclose(variance, expected_covariance.diagonal(), atol=1e-9)
    np.testing.assert_allclose(covariance, expected_covariance, atol=1e-9)
    np.testing.assert_allclose(mean[:, 0], reference.mean[:, 0], atol=1e-6)
    np.testing.assert_allclose(variance, reference.variance[:, 0], atol=1e-6)
    smoothed = closed_form(kernel, x, y, x)[0]
    np.testing.assert_allclose(posterior.smoothed[:, 0], smoothed, atol=1e-9)
    assert posterior.best[0] == pytest.approx(smoothed.min())


@pytest.mark.parametrize(("numbers", "categories"), SHAPES)
def test_misfit_is_gpytorchs_up_to_a_constant(numbers, categories):
    x, y = data(numbers, categories)
    differences = []
    for factor in (0.5, 1.0, 3.0):
        kernel = kernel_of(numbers, categories)
        kernel = kernel._replace(scales=tuple(factor * s for s in kernel.scales), noise=0.03 * factor)
        logs = np.log([*kernel.scales, kernel.noise])
        with scope():
            ours, _, means = misfit_of(x, numbers, y).explained(logs)
            model = gpytorch_model(kernel._replace(mean=float(means[0])), x, y)
            model.train()
            likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
            theirs = likelihood(model(*model.train_inputs), model.train_targets)
        differences.append(ours + float(theirs.detach()))
    assert np.ptp(differences) < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_what_is_fitted_explains_the_data(seed):
    generator = np.random.default_rng(seed)
    x = generator.random((60, 3))
    noise = 0.2 * generator.normal(size=60)
    y = np.sin(6 * x[:, 0]) + 0.5 * x[:, 1] + noise  # the third says nothing
    noise /= y.std()
    y = (y - y.mean()) / y.std()
    kernel = fit(x, 3, y)
    assert kernel.scales[0] < kernel.scales[1] < kernel.scales[2]
    assert 0.3 < kernel.noise / noise.var() < 2.0
    nothing_known = Kernel((0.05, 0.05, 0.05), 3, 1e-6, 0.0)  # each result explained by itself
    for start in (kernel, nothing_known):
        again = fit(x, 3, y, start)
        np.testing.assert_allclose(again.scales, kernel.scales, rtol=0.3)
    logs = [np.log([*k.scales, k.noise]) for k in (kernel, fit(x, 3, y, kernel))]
    misfit = misfit_of(x, 3, y)
    before, after = (misfit(each)[0] for each in logs)
    assert after <= before + 1e-6
    assert before < misfit(misfit.begin)[0]


def test_no_noise_is_found_where_there_is_none():
    x = np.random.default_rng(0).random((60, 2))
    y = np.sin(6 * x[:, 0]) + x[:, 1]
    assert fit(x, 2, (y - y.mean()) / y.std()).noise < 1e-4


@pytest.mark.parametrize("y", [np.zeros(8), np.r_[np.zeros(7), 7.0]], ids=["equal", "one stands out"])
@pytest.mark.parametrize("x", [np.full((8, 2), 0.5), np.eye(8, 2)], ids=["one place", "few places"])
def test_degenerate_data_are_fitted(x, y):
    kernel = fit(x, 2, y)
    assert np.isfinite([*kernel.scales, kernel.noise, kernel.mean]).all()
    mean, variance = Posterior(kernel, torch.tensor(x), torch.tensor(y)).at(torch.tensor(x))
    assert torch.isfinite(mean).all()
    assert (variance > 0).all()


def test_expected_fantasies_change_no_mean_and_narrow_the_variance():
    kernel, (x, y) = kernel_of(2, 1), data(2, 1)
    at, pending = data(2, 1, 20, 5)[0], data(2, 1, 4, 6)[0]
    posterior = Posterior(kernel, torch.tensor(x), torch.tensor(y))
    mean, variance = posterior.at(torch.tensor(at))
    zeros = torch.zeros(4, 1, dtype=torch.float64)
    after, narrower = posterior.fantasised(torch.tensor(pending), zeros).at(torch.tensor(at))
    np.testing.assert_allclose(after, mean, atol=1e-9)
    known = np.concatenate([y, closed_form(kernel, x, y, pending)[0]])
    _, expected = closed_form(kernel, np.concatenate([x, pending]), known, at)
    np.testing.assert_allclose(narrower, expected.diagonal(), atol=1e-9)
    assert (narrower <= variance + 1e-12).all()


def test_fantasies_are_draws_from_the_posterior():
    kernel, (x, y) = kernel_of(2, 0), data(2, 0)
    pending = data(2, 0, 3, 6)[0]
    posterior = Posterior(kernel, torch.tensor(x), torch.tensor(y))
    normals = torch.tensor(np.random.default_rng(0).normal(size=(3, 40_000)))
    drawn = posterior.fantasised(torch.tensor(pending), normals)._values[len(x) :].numpy()
    mean, covariance = closed_form(kernel, x, y, pending)
    np.testing.assert_allclose(drawn.mean(axis=1), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(drawn), covariance + kernel.noise * np.eye(3), atol=0.02)


def test_thompson_draws_have_the_posteriors_moments():
    kernel, (x, y) = kernel_of(2, 1), data(2, 1)
    at = data(2, 1, 5, 8)[0]
    drawn = np.array([draw(kernel, x, y, at, seed) for seed in range(500)])
    mean, covariance = closed_form(kernel, x, y, at)
    deviation = np.sqrt(covariance.diagonal())
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * deviation / np.sqrt(500)).all()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.15)
    assert (draw(kernel, x, y, at, 3) == drawn[3]).all()


def test_jitter_is_added_only_where_it_is_needed():
    sound = torch.eye(3, dtype=torch.float64)
    assert (cholesky(sound) == sound).all()
    flat = torch.ones(3, 3, dtype=torch.float64) - 1e-12 * sound
    factor = cholesky(flat)
    np.testing.assert_allclose(factor @ factor.T, flat, atol=1e-6)
    with pytest.raises(ArithmeticError, match="negative eigenvalues"):
        cholesky(-sound)


def test_a_kernel_at_one_place_is_one_and_has_a_slope():
    x = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    total = correlation(x, x, torch.ones(2, dtype=torch.float64), 2)
    (slope,) = torch.autograd.grad(total.sum(), x)
    assert (total == 1).all()
    assert (slope == 0).all()


@pytest.fixture
def two_threads():
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(usual)


@pytest.mark.usefixtures("two_threads")
def test_scope_leaves_everything_as_it_was():
    torch.manual_seed(5)
    before, filters = torch.random.get_rng_state(), list(warnings.filters)
    with scope(3):
        first = torch.rand(2)
        assert torch.get_num_threads() == 1
    with scope(3):
        assert (torch.rand(2) == first).all()
    with pytest.raises(ZeroDivisionError), scope():
        raise ZeroDivisionError
    assert (torch.random.get_rng_state() == before).all()
    assert torch.get_num_threads() == 2
    assert warnings.filters == filters


def test_a_missing_library_is_said_in_one_sentence(monkeypatch):
    found = torch_scope.find_spec
    monkeypatch.setattr(torch_scope, "find_spec", lambda name: None if name == "botorch" else found(name))
    with pytest.raises(StudyError, match=r"^'gp' needs BoTorch.*pip install 'rung\[gp\]'$"):
        torch_scope.require("gp")


def test_no_library_is_imported_before_a_fit():
    code = (
        "import sys\n"
        "from rung.samplers import make_sampler\n"
        "make_sampler('gp'), make_sampler('turbo')\n"
        "print([name for name in ('torch', 'botorch', 'gpytorch', 'sklearn') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
