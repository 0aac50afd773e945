"""Which configuration next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rung.trials.events import Spec
from rung.trials.methods import Family, Method, make
from rung.trials.methods import spec_of as _spec_of

if TYPE_CHECKING:
    from rung.samplers.base import Sampler

GROUP: Final = "rung.samplers"  # the entry points' group for samplers of others

_ROWS: Final = (
    Method(
        name="auto",
        kind="sampler",
        path="rung.samplers.auto:AutoSampler",
        line="chooses among the others by what the study is and what an evaluation costs (the default)",
    ),
    Method(
        name="transfer",
        kind="sampler",
        path="rung.samplers.transfer:TransferSampler",
        line="starts from what earlier studies found, as far as that helps, then goes on with another one",
        paper="Feurer, Springenberg, Hutter 2015, Initializing Bayesian Hyperparameter Optimization via "
        "Meta-Learning; Feurer, Letham, Bakshy 2018, Scalable Meta-Learning for Bayesian Optimization",
    ),
    Method(
        name="random",
        kind="sampler",
        path="rung.samplers.random:RandomSampler",
        line="draws every configuration from the prior",
        paper="Bergstra, Bengio 2012, Random Search for Hyper-Parameter Optimization",
    ),
    Method(
        name="grid",
        kind="sampler",
        path="rung.samplers.grid:GridSampler",
        line="goes through evenly spaced values of all parameters, then ends",
    ),
    Method(
        name="gp",
        kind="sampler",
        path="rung.samplers.gp:GpSampler",
        line="maximises expected improvement under Gaussian processes; several objectives need rung[gp]",
        paper="Ament et al. 2023, Unexpected Improvements to Expected Improvement for Bayesian Optimization",
    ),
    Method(
        name="turbo",
        kind="sampler",
        path="rung.samplers.turbo:TurboSampler",
        line="Thompson sampling in a trust region, for many parameters; needs rung[gp]",
        paper="Eriksson et al. 2019, Scalable Global Optimization via Local Bayesian Optimization",
    ),
    Method(
        name="forest",
        kind="sampler",
        path="rung.samplers.forest:ForestSampler",
        line="takes the highest expected improvement under a random forest (SMAC)",
        paper="Hutter, Hoos, Leyton-Brown 2011, Sequential Model-Based Optimization for General Algorithm "
        "Configuration",
    ),
    Method(
        name="cqr",
        kind="sampler",
        path="rung.samplers.cqr:CqrSampler",
        line="draws from conformal quantiles of the loss, of each trial where it has come furthest",
        paper="Salinas et al. 2023, Optimizing Hyperparameters with Conformal Quantile Regression",
    ),
    Method(
        name="mfes",
        kind="sampler",
        path="rung.samplers.mfes:MfesSampler",
        line="takes the highest expected improvement under forests of all fidelities, weighed by rank",
        paper="Li et al. 2021, MFES-HB: Efficient Hyperband with Multi-Fidelity Quality Measurements",
    ),
    Method(
        name="kde",
        kind="sampler",
        path="rung.samplers.kde:KdeSampler",
        line="draws near good configurations, by kernel densities of good and bad ones (BOHB's model)",
        paper="Falkner, Klein, Hutter 2018, BOHB: Robust and Efficient Hyperparameter Optimization at Scale",
    ),
    Method(
        name="tpe",
        kind="sampler",
        path="rung.samplers.tpe:TpeSampler",
        line="draws near good configurations, by Parzen estimators of good and bad ones, joint or by group",
        paper="Bergstra, Bardenet, Bengio, Kégl 2011, Algorithms for Hyper-Parameter Optimization; Watanabe "
        "2023, Tree-Structured Parzen Estimator",
    ),
    Method(
        name="sobol",
        kind="sampler",
        path="rung.samplers.sobol:SobolSampler",
        line="spreads configurations evenly over the prior, by a scrambled Sobol sequence",
        paper="Sobol 1967, On the Distribution of Points in a Cube and the Approximate Evaluation of "
        "Integrals; Owen 1998, Scrambling Sobol and Niederreiter-Xing Points",
    ),
    Method(
        name="anneal",
        kind="sampler",
        path="rung.samplers.anneal:AnnealSampler",
        line="moves from neighbour to neighbour, to worse ones ever more rarely, and begins anew when stuck",
        paper="Kirkpatrick, Gelatt, Vecchi 1983, Optimization by Simulated Annealing",
    ),
    Method(
        name="genetic",
        kind="sampler",
        path="rung.samplers.genetic:GeneticSampler",
        line="crosses and mutates the best configurations so far, chosen in tournaments (NSGA-II's order)",
        paper="Goldberg, Deb 1991, A Comparative Analysis of Selection Schemes Used in Genetic Algorithms; "
        "Deb et al. 2002, A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II",
    ),
    Method(
        name="evolution",
        kind="sampler",
        path="rung.samplers.evolution:EvolutionSampler",
        line="mutates the best of a few members of a population whose oldest dies",
        paper="Real et al. 2019, Regularized Evolution for Image Classifier Architecture Search",
    ),
    Method(
        name="cmaes",
        kind="sampler",
        path="rung.samplers.cmaes:CmaesSampler",
        line="a normal distribution that learns its shape from generations of results, with restarts",
        paper="Hansen 2016, The CMA Evolution Strategy: A Tutorial; Auger, Hansen 2005, A Restart CMA "
        "Evolution Strategy With Increasing Population Size; Hamano et al. 2022, CMA-ES with Margin",
    ),
    Method(
        name="dehb",
        kind="sampler",
        path="rung.samplers.dehb:DehbSampler",
        line="differential evolution with one sub-population for each fidelity",
        paper="Awad, Mallik, Hutter 2021, DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient "
        "Hyperparameter Optimization",
    ),
    Method(
        name="prior",
        kind="sampler",
        path="rung.samplers.prior:PriorSampler",
        line="uses beliefs about good values, the space's priors, as far as they prove right (PriorBand)",
        paper="Mallik et al. 2023, PriorBand: Practical Hyperparameter Optimization in the Age of Deep "
        "Learning",
    ),
)
SAMPLERS: Final = {row.name: row for row in _ROWS}

FAMILY: Final = Family("sampler", "suggest", GROUP, SAMPLERS)


def make_sampler(sampler: str | Spec | Sampler) -> Sampler:
    """The sampler that a name, a spec from the log or an object stands for.

    Raises:
        StudyError: an unknown name or setting (the message has the closest one), or no sampler at all.
    """
    made: Sampler = make(FAMILY, sampler)
    return made


def spec_of(sampler: Sampler) -> Spec:
    """The sampler's name and settings, as the log keeps them: `make_sampler` gives an equal sampler.

    Raises:
        StudyError: the sampler is not a dataclass.
    """
    return _spec_of(FAMILY, sampler)
