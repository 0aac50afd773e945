"""What Optuna does: its pruners, samplers and studies."""

import inspect
import math
import warnings
from typing import Any

import numpy as np
import optuna
from answer import answer
from optuna.samplers._tpe import sampler as tpe

optuna.logging.set_verbosity(optuna.logging.CRITICAL)
warnings.simplefilter("ignore")
Float, Int = optuna.distributions.FloatDistribution, optuna.distributions.IntDistribution
Categorical = optuna.distributions.CategoricalDistribution
MIXED = {"x": Float(0.0, 1.0), "y": Float(0.0, 1.0), "c": Categorical(["a", "b", "c"])}


def _hyperband(eta: int, largest: int) -> optuna.pruners.HyperbandPruner:
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=largest, reduction_factor=eta)
    pruner._try_initialization(optuna.create_study())
    return pruner


def rungs(ladders: list[list[int]]) -> dict[str, Any]:
    """Its brackets are as many as the rungs of the lowest one."""
    return {"found": [[eta, power, _hyperband(eta, eta**power)._n_brackets] for eta, power in ladders]}


def bracket_sizes(largest: int) -> dict[str, Any]:
    """Where 1,000 trials go: their share in the size of a round of brackets."""
    pruner, study = _hyperband(3, largest), optuna.create_study(study_name="s")
    shares = pruner._trial_allocation_budgets
    drawn = [pruner._get_bracket_id(study, _frozen(number)) for number in range(sum(shares))]
    return {
        "sizes": [drawn.count(bracket) for bracket in range(len(shares))],
        "note": f" of {sum(shares)} trials: by a hash of each trial's number, never a bracket's n",
    }


def _frozen(number: int) -> optuna.trial.FrozenTrial:
    trial = optuna.trial.create_trial(value=0.0)
    trial.number = number
    return trial


def stopping(values: list[float | None]) -> dict[str, Any]:
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    study, on = optuna.create_study(pruner=pruner), []
    for number, value in enumerate(values):
        trial = study.ask()
        trial.report(math.nan if value is None else value, 1)
        if not trial.should_prune():
            on.append(number)
    return {"on": on}


def spoilt(values: list[float | None]) -> dict[str, Any]:
    """The same with NaN, and with a value that is worse than all in its place."""
    finite = {number for number, value in enumerate(values) if value is not None}
    both = [set(stopping(each)["on"]) for each in (values, [1e9 if v is None else v for v in values])]
    return {"differ": len((both[0] ^ both[1]) & finite), "on": len(both[0] - finite)}


def skipped() -> dict[str, Any]:
    """A first trial has results at 1, 3, 9; then one reports at 10 only."""
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    study = optuna.create_study(pruner=pruner)
    trial = study.ask()
    trial.report(0.5, 10)
    trial.should_prune()
    keys = [key for key in study.trials[0].system_attrs if key.startswith("completed_rung_")]
    return {"rungs": [3 ** int(key.rpartition("_")[2]) for key in keys]}


def _pruned(
    pruner: optuna.pruners.BasePruner, curves: list[list[float]], newcomer: list[float]
) -> dict[str, Any]:
    study = optuna.create_study(pruner=pruner)
    for curve in curves:
        trial = study.ask()
        for step, value in enumerate(curve, 1):
            trial.report(value, step)
        study.tell(trial, curve[-1])
    trial = study.ask()
    for step, value in enumerate(newcomer, 1):
        trial.report(value, step)
        if trial.should_prune():
            return {"step": step}
    return {"step": 0}


def median(curves: list[list[float]], newcomer: list[float]) -> dict[str, Any]:
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0)
    return _pruned(pruner, curves, newcomer)


def percentile(curves: list[list[float]], newcomer: list[float]) -> dict[str, Any]:
    pruner = optuna.pruners.PercentilePruner(25.0, n_startup_trials=5, n_warmup_steps=0)
    return _pruned(pruner, curves, newcomer)


def grid() -> dict[str, Any]:
    space = {"c": ["a", "b", "c"], "n": [1, 2, 3, 4]}
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(space, seed=0))
    study.optimize(lambda trial: 0.0 * _drawn(trial)[1], n_trials=50)
    seen = [tuple(trial.params.values()) for trial in study.trials]
    return {"different": len(set(seen)), "trials": len(seen)}


def _drawn(trial: optuna.Trial) -> tuple[str, int]:
    return trial.suggest_categorical("c", ["a", "b", "c"]), trial.suggest_int("n", 1, 4)


def sobol() -> dict[str, Any]:
    sampler = optuna.samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=0)
    study = optuna.create_study(sampler=sampler)
    points = []
    for _ in range(64):
        trial = study.ask({"x": Float(0.0, 1.0), "y": Float(0.0, 1.0)})
        points.append(list(trial.params.values()))
        study.tell(trial, 0.0)
    return {"points": points}


def gamma(counts: list[int]) -> dict[str, Any]:
    return {"good": [tpe.default_gamma(count) for count in counts]}


def weights() -> dict[str, Any]:
    losses = len(inspect.signature(tpe.default_weights).parameters) > 1
    return {"weights": tpe.default_weights(30), "losses": losses}


def _watched(study: optuna.Study, domains: dict[str, Any]) -> tuple[optuna.Trial, list[Any]]:
    """A suggestion of TPE, and the trials that its model was made from."""
    seen: list[Any] = []
    split = tpe._split_trials

    def spy(study: Any, trials: list[Any], n_below: int) -> Any:
        seen[:] = trials
        return split(study, trials, n_below)

    tpe._split_trials = spy
    trial = study.ask(domains)
    tpe._split_trials = split
    return trial, seen


def bracket_tpe() -> dict[str, Any]:
    """120 trials under Hyperband; then the trials that TPE's model is made from, and those of its bracket."""
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=81, reduction_factor=3)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner, study_name="s")

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0.0, 1.0)
        for step in range(1, 82):
            trial.report((x - 0.3) ** 2 + 1.0 / step, step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return (x - 0.3) ** 2

    study.optimize(objective, n_trials=120)
    trial, seen = _watched(study, {"x": Float(0.0, 1.0)})
    homes = [pruner._get_bracket_id(study, other) for other in study.trials]
    return {"seen": len(seen), "bracket": homes[:-1].count(homes[trial.number])}


def pending(rows: list[list[float]]) -> dict[str, Any]:
    """Eight trials asked for at once after the rows; the pending ones that its model sees for the ninth."""
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    for x, y, c, loss in rows:
        params = {"x": x, "y": y, "c": "abc"[int(c)]}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=MIXED, value=loss))
    asked = [tuple(study.ask(MIXED).params.values()) for _ in range(8)]
    _, seen = _watched(study, MIXED)
    running = sum(trial.state == optuna.trial.TrialState.RUNNING for trial in seen)
    return {"different": len(set(asked)), "pending": running}


def tail(far: list[float]) -> dict[str, Any]:
    import torch
    from optuna._gp.acqf import standard_logei

    return {"values": standard_logei(torch.tensor(far, dtype=torch.float64))}


def posterior() -> dict[str, Any]:
    """Its posterior, with given lengthscales and noise, beside the closed form."""
    import torch
    from optuna._gp.gp import GPRegressor

    x, y = np.random.default_rng(0).random((12, 2)), np.random.default_rng(1).normal(size=12)
    new, scales = np.random.default_rng(2).random((5, 2)), np.array([0.4, 0.9])
    tensors = [torch.tensor(value) for value in (x, y, scales**-2.0)]
    model = GPRegressor(
        torch.zeros(2, dtype=torch.bool), *tensors, torch.tensor(1.0).double(), torch.tensor(0.01).double()
    )
    model._cache_matrix()
    mean, variance = (value.detach().numpy() for value in model.posterior(torch.tensor(new)))

    def matern(a: Any, b: Any) -> Any:
        r = np.sqrt(5 * (((a[:, None] - b[None]) / scales) ** 2).sum(-1))
        return (1 + r + r * r / 3) * np.exp(-r)

    inverse, cross = np.linalg.inv(matern(x, x) + 0.01 * np.eye(12)), matern(new, x)
    gap = np.abs(mean - cross @ inverse @ y).max()
    return {"gap": max(gap, np.abs(variance - (1 - np.einsum("ij,jk,ik->i", cross, inverse, cross))).max())}


def population() -> dict[str, Any]:
    import cmaes

    found: list[int] = []
    ask = cmaes.CMA.ask

    def spy(self: Any) -> Any:
        found.append(self.population_size)
        return ask(self)

    cmaes.CMA.ask = spy
    for d in (2, 5, 20):
        domains = {f"x{i}": Float(0.0, 1.0) for i in range(d)}
        study = optuna.create_study(sampler=optuna.samplers.CmaEsSampler(seed=0))
        for _ in range(3):
            study.tell(study.ask(domains), 0.0)
    return {"sizes": sorted(set(found))}


def cmaes_failed() -> dict[str, Any]:
    """80 trials of which a third fail: the results that its distribution is told."""
    import cmaes

    told: list[int] = []
    tell = cmaes.CMA.tell

    def spy(self: Any, solutions: list[Any]) -> None:
        told.append(len(solutions))
        tell(self, solutions)

    cmaes.CMA.tell = spy
    domains = {f"x{i}": Float(0.0, 1.0) for i in range(5)}
    study = optuna.create_study(sampler=optuna.samplers.CmaEsSampler(seed=0, n_startup_trials=0))
    for number in range(80):
        trial = study.ask(domains)
        if number % 3 == 2:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, sum(value**2 for value in trial.params.values()))
    return {"told": sum(told)}


def seeds() -> dict[str, Any]:
    runs = []
    for _ in range(2):
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=30)
        runs.append([trial.value for trial in study.trials])
    return {"same": runs[0] == runs[1]}


def several() -> dict[str, Any]:
    study = optuna.create_study(directions=["minimize", "minimize"])
    trial = study.ask()
    try:
        trial.report(0.5, 1)
        trial.should_prune()
    except NotImplementedError as error:
        return {"works": False, "said": f"NotImplementedError: {str(error)[:70]}"}
    return {"works": True, "said": "reports and prunes with two objectives"}


def repeats() -> dict[str, Any]:
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))

    def objective(trial: optuna.Trial) -> float:
        c, n = _drawn(trial)
        return float("abc".index(c) + n)

    study.optimize(objective, n_trials=12)
    return {"different": len({tuple(trial.params.values()) for trial in study.trials})}


def constraints() -> dict[str, Any]:
    """The least values break the constraint: what `best_trial` is."""

    def objective(trial: optuna.Trial) -> float:
        n = trial.suggest_int("n", 1, 9)
        trial.set_user_attr("c", [5 - n])
        return trial.suggest_float("x", 0, 1) ** 2 + 0.01 * n

    sampler = optuna.samplers.TPESampler(
        seed=0, n_startup_trials=40, constraints_func=lambda t: t.user_attrs["c"]
    )
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=40)
    return {"size": study.best_trial.params["n"]}


def nan() -> dict[str, Any]:
    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        return math.nan if x < 0.5 else x

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=30)
    states = {t.state.name.lower() for t in study.trials if t.value is None}
    return {"states": ", ".join(sorted(states)), "best": study.best_value}


RULES = (
    *(rungs, bracket_sizes, stopping, spoilt, skipped, median, percentile, grid, sobol, gamma, weights),
    *(
        bracket_tpe,
        pending,
        tail,
        posterior,
        population,
        cmaes_failed,
        seeds,
        several,
        repeats,
        constraints,
        nan,
    ),
)
answer({rule.__name__: rule for rule in RULES})
