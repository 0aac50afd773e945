"""The papers' rules, slow and obvious: everything is looked up and sorted anew for each decision."""

from __future__ import annotations

import math
from fractions import Fraction

from rung.schedulers.base import Decision, Done, Resume, Start, Wait
from support.driver import Oracle

Results = dict[int, float]


def idle(busy: bool) -> Decision:
    return Wait() if busy else Done()


def best_first(results: Results) -> list[int]:
    return sorted(results, key=lambda trial: (results[trial], trial))


class PaperASHA(Oracle):
    """Li et al. 2020, Algorithm 2, in one bracket or in Hyperband's."""

    def __init__(self, ladders: list[list[int]], weights: list[int], eta: int) -> None:
        self.ladders, self.weights, self.eta = ladders, weights, eta
        self.results: list[list[Results]] = [[{} for _ in ladder] for ladder in ladders]
        self.promoted: list[list[set[int]]] = [[set() for _ in ladder] for ladder in ladders]
        self.begun = [0] * len(ladders)
        self.home: dict[int, int] = {}

    def started(self, trial: int, bracket: int, until: int) -> None:
        rung = self.ladders[bracket].index(until)
        if rung == 0:
            self.begun[bracket] += 1
            self.home[trial] = bracket
        else:
            self.promoted[bracket][rung - 1].add(trial)

    def told(self, trial: int, resource: int, value: float) -> None:
        bracket = self.home[trial]
        self.results[bracket][self.ladders[bracket].index(resource)][trial] = value

    def next(self, may_start: bool, busy: bool) -> Decision:
        for resource in reversed(self.ladders[0]):
            for bracket, ladder in enumerate(self.ladders):
                if resource in ladder[:-1]:
                    trial = self.promotable(bracket, ladder.index(resource))
                    if trial is not None:
                        return Resume(trial, ladder[ladder.index(resource) + 1])
        if not may_start:
            return idle(busy)
        bracket = self.lagging()
        return Start(self.ladders[bracket][0], bracket)

    def promotable(self, bracket: int, rung: int) -> int | None:
        results = self.results[bracket][rung]
        top = best_first(results)[: len(results) // self.eta]
        sound = [t for t in top if results[t] < math.inf and t not in self.promoted[bracket][rung]]
        return sound[0] if sound else None

    def lagging(self) -> int:
        total = sum(self.begun) + 1
        wanted = [Fraction(weight * total, sum(self.weights)) for weight in self.weights]
        gaps = [want - have for want, have in zip(wanted, self.begun, strict=True)]
        return gaps.index(max(gaps))


class PaperBrackets(Oracle):
    """Li et al. 2018, Algorithm 1: brackets one after the other; each a list of stages.

    A bracket is [sizes, resources, members at each stage, results at each stage, closed].
    """

    def __init__(self, table: list[tuple[list[int], list[int]]], eta: int) -> None:
        self.table, self.eta = table, eta
        self.brackets: list[PaperBracket] = []

    def started(self, trial: int, bracket: int, until: int) -> None:
        if bracket == len(self.brackets):
            self.brackets.append(PaperBracket(*self.table[bracket % len(self.table)]))
        self.brackets[bracket].start(trial, until, self.eta)

    def told(self, trial: int, resource: int, value: float) -> None:
        for bracket in self.brackets:
            if trial in bracket.members[0]:
                bracket.results[bracket.resources.index(resource)][trial] = value

    def next(self, may_start: bool, busy: bool) -> Decision:
        for bracket in self.brackets:
            decision = bracket.promotion()
            if decision is not None:
                return decision
        last = self.brackets[-1] if self.brackets else None
        if may_start:
            if last is not None and not last.full():
                return Start(last.resources[0], len(self.brackets) - 1)
            return Start(self.table[len(self.brackets) % len(self.table)][1][0], len(self.brackets))
        if last is not None and not last.full():
            short = last.cut_short(self.eta).promotion()
            if short is not None:
                return short
        return idle(busy)


class PaperBracket:
    def __init__(self, sizes: list[int], resources: list[int]) -> None:
        self.sizes, self.resources = sizes, resources
        self.members: list[list[int]] = [[] for _ in sizes]
        self.results: list[Results] = [{} for _ in sizes]

    def full(self) -> bool:
        return len(self.members[0]) == self.sizes[0]

    def start(self, trial: int, until: int, eta: int) -> None:
        stage = self.resources.index(until)
        if stage == 1 and not self.full():
            self.sizes = self.cut_short(eta).sizes
        self.members[stage].append(trial)

    def cut_short(self, eta: int) -> PaperBracket:
        """The same with the size that it has."""
        number = len(self.members[0])
        short = PaperBracket([number // eta**i for i in range(len(self.sizes))], self.resources)
        short.members, short.results = self.members, self.results
        return short

    def promotion(self) -> Decision | None:
        expected = self.sizes[0]
        for stage in range(len(self.sizes) - 1):
            if len(self.results[stage]) < expected or expected == 0:
                return None
            results = self.results[stage]
            sound = [t for t in best_first(results) if results[t] < math.inf]
            chosen = sound[: self.sizes[stage + 1]]
            for trial in chosen:
                if trial not in self.members[stage + 1]:
                    return Resume(trial, self.resources[stage + 1])
            expected = len(chosen)
        return None


class PaperStopping:
    """The stopping variant's verdict at a rung, from all results there."""

    def __init__(self, eta: int) -> None:
        self.eta = eta
        self.results: dict[int, Results] = {}

    def goes_on(self, trial: int, resource: int, value: float) -> bool:
        results = self.results.setdefault(resource, {})
        results[trial] = value
        best = best_first(results)[: max(1, len(results) // self.eta)]
        return value < math.inf and trial in best
