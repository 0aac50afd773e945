"""What a study is, from what people write: objectives, constraints, methods; the identity in its log."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rung.errors import SpaceError, StudyError
from rung.samplers import make_sampler
from rung.samplers import spec_of as sampler_spec
from rung.schedulers import make_scheduler
from rung.schedulers import spec_of as scheduler_spec
from rung.space import Space, compile_space, to_json
from rung.study.defaults import scheduler_for
from rung.study.identity import check_settings, make_resource, own_number, yes
from rung.study.methods import check_kind
from rung.study.propose import configurations
from rung.trials.codec import as_kept
from rung.trials.events import Constraint, Goal, Identity, Spec

SIMULATED: Final = 8  # workers that `deterministic=True` stands for
_CONSTRAINT = re.compile(r"\s*([^<>=]+?)\s*(<=|>=|<|>)\s*([^<>=]+?)\s*")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `rung.Study` is given beside the space and its limits (but for `trials`); see there."""

    metric: str | Sequence[str] = "loss"
    mode: str | Sequence[str] = "min"
    reference: float | Sequence[float] | None = None
    constraints: Sequence[str | Constraint] = ()
    resource: Any = None
    eta: int = 3
    sampler: Any = None
    scheduler: Any = None
    seed: int = 0
    noisy: bool = False
    confirm: int = 0
    deterministic: bool | int = False
    trials: int | None = None  # that a new study is limited to, by which a scheduler is chosen
    door: str = "tune"
    task: Mapping[str, Any] = field(default_factory=dict)


def _searchable(space: Any, seed: int, draws: bool) -> Space:
    """The space, if it has any configuration at all; one of a study that will draw some, if that succeeds."""
    compiled = compile_space(ours(space))
    if compiled.columns.forbidden:
        number = configurations(compiled)
        if number == 0:
            raise SpaceError(
                "the forbidden combinations leave no configuration at all: forbid less of the space"
            )
        if number is None and draws:
            compiled.sample(seed, 0)  # refused before a study is made of it, not in its first session
    return compiled.space


def make_identity(space: Any, given: Settings, stored: Identity | None = None) -> Identity:
    """The identity that these settings name.

    Args:
        space: a mapping from name to domain, a `rung.Space` or a ConfigSpace object.
        stored: that of a study which exists already: where no method is named, its own goes on.

    Raises:
        SpaceError, StudyError: what was given cannot be used.
    """
    goals = make_goals(given.metric, given.mode, given.reference)
    first = goals[0]
    eta, seed = own_number(given.eta), own_number(given.seed)
    check_settings(first.metric, first.mode, eta, seed)
    resource = make_resource(given.resource)
    scheduler, sampler = given.scheduler, given.sampler
    check_kind("scheduler", scheduler)
    check_kind("sampler", sampler)
    if scheduler is None:
        scheduler = stored.scheduler if stored is not None else scheduler_for(resource, goals, given.trials)
    if sampler is None:
        sampler = stored.sampler if stored is not None else "auto"
    if given.task.get("transfer"):
        sampler = _transferring(sampler)
    return Identity(
        space=to_json(_searchable(space, seed, draws=stored is None and sampler != "grid")),
        metric=first.metric,
        mode=first.mode,
        resource=resource,
        eta=eta,
        sampler=sampler_spec(make_sampler(sampler)),
        scheduler=scheduler_spec(make_scheduler(scheduler)),
        seed=seed,
        door=given.door,
        task={key: value for key, value in given.task.items() if key != "transfer"},
        goals=goals if len(goals) > 1 or first.reference is not None else (),
        constraints=tuple(make_constraint(each) for each in _listed(given.constraints)),
        noisy=yes("noisy", given.noisy),
        confirm=_confirm(given.confirm),
        deterministic=_deterministic(given.deterministic),
    )


def make_task(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the study is about, as the log has it.

    Raises:
        StudyError: it is no mapping of what the log can keep.
    """
    if given is not None and not isinstance(given, Mapping):
        raise StudyError(f"task must be a mapping, not {given!r}")
    return as_kept(given or {})


def _transferring(sampler: Any) -> Spec:
    """The sampler that starts from earlier studies and goes on with this one."""
    base = sampler_spec(make_sampler(sampler))
    return (
        base if base.name == "transfer" else Spec("transfer", {"base": base.name, "settings": base.settings})
    )


def make_goals(
    metric: str | Sequence[str], mode: str | Sequence[str], reference: float | Sequence[float] | None
) -> tuple[Goal, ...]:
    """The objectives that these lists name, "a,b" being a list, too; one mode may stand for all.

    Raises:
        StudyError: lists of different lengths, a name that comes twice, or a reference that is no number.
    """
    names, modes = _words(metric), _words(mode)
    if len(modes) == 1:
        modes = modes * len(names)
    points = [None] * len(names) if reference is None else _numbers(reference)
    if not names:
        raise StudyError("no metric is named: give one, as metric='loss', or several in a list")
    for what, given in (("modes", modes), ("reference values", points)):
        if len(given) != len(names):
            raise StudyError(
                f"{len(given)} {what} for the metrics {', '.join(map(repr, names))}: give one for each"
            )
    if len(set(names)) < len(names):
        raise StudyError(f"the metrics {', '.join(map(repr, names))}: each may be named once only")
    for name, one in zip(names, modes, strict=True):
        check_settings(name, one, 2, 0)
    return tuple(Goal(*row) for row in zip(names, modes, points, strict=True))


def _listed(given: Any) -> Sequence[Any]:
    """A single one as a list of one."""
    return [given] if isinstance(given, str | Constraint) else list(given)


def _words(given: str | Sequence[str]) -> list[str]:
    if isinstance(given, str):
        return [word.strip() for word in given.split(",")]
    return list(given) if isinstance(given, Sequence) else [given]


def _numbers(given: float | Sequence[float]) -> list[float]:
    values = [own_number(value) for value in (given if isinstance(given, Sequence) else [given])]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise StudyError(f"reference {given!r}: {value!r} is no finite number")
    return [float(value) for value in values]


def make_constraint(given: str | Constraint) -> Constraint:
    """The constraint that a text such as "memory <= 2e9" or "accuracy >= 0.9" says.

    Raises:
        StudyError: it is none.
    """
    if isinstance(given, Constraint):
        return given
    match = _CONSTRAINT.fullmatch(given) if isinstance(given, str) else None
    try:
        bound = float(match[3]) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or not math.isfinite(bound):
        raise StudyError(f"constraint {given!r} is not understood: write it as 'memory <= 2e9'")
    if match[2] in "<>":  # the bound itself breaks it
        bound = math.nextafter(bound, -math.inf if match[2] == "<" else math.inf)
    return Constraint(match[1], bound, match[2].removesuffix("=") + "=")


def _confirm(given: Any) -> int:
    given = own_number(given)
    if given is None or given is False:
        return 0
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise StudyError(f"confirm must be a whole number of at least 0, not {given!r}")
    return given


def _deterministic(given: bool | int | None) -> int:
    if given is None or isinstance(given, bool) or given == 0:
        return SIMULATED if given is True else 0
    if not isinstance(given, int) or given < 0:
        raise StudyError(f"deterministic must be True, False or a number of workers, not {given!r}")
    return given


def ours(space: Any) -> Any:
    """A ConfigSpace object becomes ours; anything else is as it was."""
    if type(space).__module__.partition(".")[0] != "ConfigSpace":
        return space
    from rung.space import from_configspace

    return from_configspace(space)
