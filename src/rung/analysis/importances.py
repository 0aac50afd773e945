"""Importance of hyperparameters: which of them made the difference between good and bad trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from rung.analysis.data.values import Floats, Ints, choose_resource, sound_results
from rung.analysis.regions import counts, find_regions, varying
from rung.analysis.subject import Subject, subject_of
from rung.errors import StudyError
from rung.samplers.observed import observed

METHODS: Final = ("ped-anova", "fanova")
LEAST: Final = 10  # results that say something
PLACE: Final = "place in the non-dominated sorting"


@dataclass(frozen=True)
class Importance:
    """One parameter's importance, and its standard deviation over trees or bootstrap samples."""

    parameter: str
    value: float
    spread: float


@dataclass(frozen=True)
class Importances:
    """The importance of every parameter that varies, the largest first.

    Attributes:
        method: "ped-anova": shares, summing to 1, of what the parameters explain each alone;
            "fanova": shares of the whole variance of the metric.
        metric: the objective, or, of a study with several, `PLACE`.
        resource: the fidelity whose results were used; None in a study without one.
        trials: how many they are.
        parameters: one entry a parameter, by its full name.
        rest: of fanova, what no parameter explains alone: interactions, and what looks like noise.
        pairs: of fanova, on request: what two parameters explain together beyond each alone.
        best: of ped-anova, how many of the trials are the best ones, which are told from the others.
    """

    method: str
    metric: str
    resource: int | None
    trials: int
    parameters: tuple[Importance, ...]
    rest: float | None = None
    pairs: tuple[tuple[str, str, float], ...] = ()
    best: int | None = None

    def __getitem__(self, parameter: str) -> float:
        """One parameter's importance."""
        return self.to_dict()[parameter]

    def keys(self) -> tuple[str, ...]:
        """Parameters' full names, the most important first: with `[]`, what `dict` needs."""
        return tuple(one.parameter for one in self.parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.parameters)

    def to_dict(self) -> dict[str, float]:
        """From parameter to importance, the largest first."""
        return {one.parameter: one.value for one in self.parameters}

    def __repr__(self) -> str:
        at = "" if self.resource is None else f" at {self.resource}"
        rows = "".join(f"\n  {one.value:6.1%} ±{one.spread:5.1%}  {one.parameter}" for one in self.parameters)
        return f"<{self.method} of {self.metric}{at}, {self.trials} trials{rows}>"


def importance(
    study: Any,
    *,
    method: str = "ped-anova",
    resource: int | None = None,
    goal: str | None = None,
    pairs: bool = False,
    storage: str | None = None,
    seed: int = 0,
) -> Importances:
    """How much each parameter matters.

    Args:
        study: a result, a study, or a study's name (looked up in `storage`).
        method: "ped-anova" (what tells the best tenth from the others, or the best 10 of fewer than 100, half
            of fewer than 20; needs no model) or "fanova" (what makes the variance of the metric; a random
            forest).
        resource: the fidelity to look at; the largest with enough results, if it is not given.
        goal: the objective to explain; of several, their common ranking, if it is not given.
        pairs: fanova only: also what each two parameters do together.

    Raises:
        StudyError: unknown method, resource or objective, too few results, or all of them equal.
    """
    if method not in METHODS:
        raise StudyError(f"importance is measured by {' or '.join(METHODS)}, not by {method!r}")
    if pairs and method != "fanova":
        raise StudyError("pairs of parameters are measured by fanova only: give method='fanova'")
    subject = subject_of(study, storage)
    at = choose_resource(subject, resource, LEAST)
    trials, losses, words = _losses(subject, at, goal)
    columns = varying(subject.space)
    if not len(columns):
        raise StudyError(f"study {subject.name!r} has no parameter that varies")
    _check_differences(subject, losses, at)
    points = subject.history.matrix(subject.space)[trials][:, columns]
    names = [subject.space.keys[column] for column in columns.tolist()]
    unit_at = at if subject.unit else None
    if method == "fanova":
        return _by_fanova(subject, columns, points, losses, seed, pairs, (words, unit_at, names))
    return _by_ped_anova(subject, columns, points, losses, seed, (words, unit_at, names))


def importances_by_resource(
    study: Any, *, method: str = "ped-anova", goal: str | None = None, storage: str | None = None
) -> list[Importances]:
    """The importances at every fidelity that has enough results, the smallest fidelity first.

    Raises:
        StudyError: no fidelity has enough.
    """
    subject = subject_of(study, storage)
    results = sound_results(subject.history)
    enough = [r for r in sorted(results) if results[r] >= LEAST] or [choose_resource(subject, None, LEAST)]
    return [importance(subject, method=method, resource=r, goal=goal) for r in enough]


def _losses(subject: Subject, resource: int, goal: str | None) -> tuple[Ints, Floats, str]:
    """Trials, what to explain (smaller is better, `inf` for failed trials), and its name."""
    found = observed(subject.history, resource)
    if len(subject.goals) > 1:
        if goal is None:
            return found.trials, found.losses, PLACE
        chosen = subject.goal(goal)
        return found.trials, found.vectors[:, subject.goals.index(chosen)], chosen.metric
    return found.trials, found.losses, subject.goal(goal).metric


def _check_differences(subject: Subject, losses: Floats, resource: int) -> None:
    sound = losses[np.isfinite(losses)]
    if len(sound) == len(losses) and np.ptp(sound) == 0.0:
        raise StudyError(
            f"all {len(losses)} trials of study {subject.name!r} have the same value{subject.at(resource)}: "
            "there is no difference to explain"
        )


_Frame = tuple[str, int | None, list[str]]  # the metric's name, the resource, the parameters' names


def _by_ped_anova(
    subject: Subject, columns: Ints, points: Floats, losses: Floats, seed: int, frame: _Frame
) -> Importances:
    from rung.analysis.ped_anova import is_best, ped_anova

    space = subject.space
    explained = ped_anova(points, losses, space.levels[columns], counts(space, columns), seed)
    totals = explained.sum(axis=1, keepdims=True)
    shares = explained / np.where(totals > 0.0, totals, 1.0)
    found = _ranked("ped-anova", frame, len(losses), shares[0], shares[1:].std(axis=0))
    return replace(found, best=int(is_best(losses).sum()))


def _by_fanova(
    subject: Subject,
    columns: Ints,
    points: Floats,
    losses: Floats,
    seed: int,
    pairs: bool,
    frame: _Frame,
) -> Importances:
    from rung.analysis.fanova import drawn_in, fanova

    regions = find_regions(subject.space, columns, points, LEAST)
    shares = fanova(regions, drawn_in(losses), counts(subject.space, columns), seed, pairs)
    if not len(shares.single):
        raise StudyError(f"the values of study {subject.name!r} hardly differ: nothing can be explained")
    means = shares.single.mean(axis=0)
    together: list[tuple[str, str, float]] = []
    if pairs:
        names, both = frame[2], shares.pair.mean(axis=0)
        found = [(names[i], names[j], float(both[i, j])) for i in range(len(names)) for j in range(i)]
        together = sorted(found, key=lambda pair: -pair[2])
    rest = max(0.0, 1.0 - float(means.sum()))
    return _ranked("fanova", frame, len(losses), means, shares.single.std(axis=0), rest, tuple(together))


def _ranked(
    method: str,
    frame: _Frame,
    trials: int,
    values: Floats,
    spreads: Floats,
    rest: float | None = None,
    pairs: tuple[tuple[str, str, float], ...] = (),
) -> Importances:
    metric, resource, names = frame
    order = np.argsort(-values, kind="stable")
    rows = tuple(Importance(names[i], float(values[i]), float(spreads[i])) for i in order.tolist())
    return Importances(method, metric, resource, trials, rows, rest, pairs)
