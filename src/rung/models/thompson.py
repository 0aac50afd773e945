"""Thompson sampling from a Gaussian process: one draw of the function at many points together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rung.models.botorch_gp import Kernel, cholesky
from rung.models.gp_posterior import Posterior
from rung.models.torch_scope import scope

Floats = NDArray[np.float64]


def draw(kernel: Kernel, x: Floats, y: Floats, points: Floats, seed: int) -> Floats:
    """The function without its noise, drawn at `points` (m, k), given `y` (n,) at `x` (n, k): (m,)."""
    with scope(seed):
        import torch

        posterior = Posterior(kernel, torch.tensor(x), torch.tensor(y))
        mean, covariance = posterior.joint(torch.tensor(points))
        normals = torch.randn(len(points), 1, dtype=torch.float64)
        drawn: Floats = (mean + cholesky(covariance, 1e-8) @ normals)[:, 0].numpy()
    return drawn
