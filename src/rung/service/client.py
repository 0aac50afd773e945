"""`rung.Client`: studies that a service runs, as a Python program works with them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rung.errors import StudyError
from rung.service.client_jobs import Jobs, of
from rung.service.events import followed, logged
from rung.service.http import PATIENCE, Api, Call, find_token
from rung.service.wire import StudyInfo, sent
from rung.trials.events import Event, Limits

if TYPE_CHECKING:
    from rung.study.devices import Scaling

_PAGE: Final = 1000


class Client(Jobs):
    """A service, and what may be done with its studies.

    ```python
    with rung.Client("https://rung.example.org") as client:
        client.create({"lr": rung.Float(1e-4, 1, log=True)}, name="mlp", resource="epoch:1:81", trials=300)
        client.run("mlp", train)  # this machine's share of it: train(trial), train(config), ...
        print(client.study("mlp").incumbent)
    ```

    May be used from several threads. A service that restarts is waited for.

    Args:
        url: where it is, such as "http://127.0.0.1:8080"; of several over one storage with commas between
            them the first that answers is used, and the next one where it is away.
        token: who asks; else that of `token_file`, of the variables RUNG_TOKEN or RUNG_TOKEN_FILE, or the
            one that a service on this machine keeps for its own user.
        patience: seconds for which a call is tried until the service answers.

    Raises:
        UserError: the address is none, or the token's file cannot be read. Every method, too, raises one
            where the service refuses: `MissingError`, `ConflictError`, `LeaseError` and the others, see
            `rung.errors`; `AwayError` where it does not answer.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        token_file: str | os.PathLike[str] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__(Api(url, find_token(url, token, token_file), patience))

    @classmethod
    def over(cls, api: Api) -> Client:
        """One that speaks through connections that are there."""
        made = cls.__new__(cls)
        Jobs.__init__(made, api)
        return made

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._api.names}>"

    def close(self) -> None:
        """Let go of its connections."""
        self._api.close()

    # -- studies --------------------------------------------------------------------------------------

    def create(  # noqa: PLR0913  # a door
        self,
        space: Any,
        *,
        name: str | None = None,
        objective: str | None = None,
        metric: str | Sequence[str] = "loss",
        mode: str | Sequence[str] = "min",
        reference: float | Sequence[float] | None = None,
        constraints: Sequence[str] = (),
        resource: str | Sequence[Any] | None = None,
        eta: int = 3,
        method: str | None = None,
        sampler: str | None = None,
        scheduler: str | None = None,
        trials: int | None = None,
        budget: str | float | None = None,
        total_resource: int | None = None,
        target: float | None = None,
        trial_time: str | float | None = None,
        trial_memory: int | None = None,
        retries: int = 3,
        seed: int = 0,
        noisy: bool = False,
        confirm: int = 0,
        weight: float = 1.0,
        priority: int = 0,
        min_slots: int = 0,
        max_slots: int | None = None,
        devices: int | str = 1,
        efficiency: float | None = None,
        scaling: Scaling | None = None,
        checkpoints: str | None = None,
        checkpoint_limit: int | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> StudyInfo:
        """Begin a study; the settings are those of `rung.tune`.

        Args:
            objective: "module:function" that the service's workers have. None: nobody's but those who `ask`
                and `tell`, or `run`. Code is never sent.
            weight, priority, min_slots, max_slots: how it shares the workers with other studies.
            devices: slots that one job takes, or "auto": more as its trial climbs.
            efficiency, scaling: with "auto", see `rung.tune`.
            checkpoints: a URL below which workers write them, such as "s3://bucket/prefix"; "study": they are
                sent to the service. None: as the service does unless told.
            checkpoint_limit: bytes that they may have together.
            fixed: values that all configurations get, by name.

        Raises:
            ConflictError: the name is taken.
            StudyError, SpaceError: the settings make no study.
        """
        given = {key: value for key, value in locals().items() if key not in ("self", "space")}
        if reference is not None and not isinstance(reference, Sequence):
            given["reference"] = [reference]
        given["scaling"] = _curve(devices, efficiency, scaling)
        body = {"space": _form(space), **{key: _plain(value) for key, value in given.items()}}
        return self._info(Call("POST", "/studies", body))

    def studies(self, *, state: str | None = None, owner: str | None = None) -> list[StudyInfo]:
        """All studies, newest first; with `state` or `owner` only those that have it."""
        query = {"limit": _PAGE, "state": state, "owner": owner}
        return [msgspec.convert(one, StudyInfo) for one in self._pages("/studies", query)]

    def study(self, name: str) -> StudyInfo:
        """One study: what it is, how far it is, its best configuration."""
        return self._info(Call("GET", of(name)))

    def trials(self, name: str) -> list[dict[str, Any]]:
        """Its trials, in order of number: state, configuration, value, observations."""
        return list(self._pages(f"{of(name)}/trials", {"limit": _PAGE}))

    def events(self, name: str, start: int = 0, *, follow: bool = True) -> Iterator[tuple[int, Event]]:
        """Its log from event number `start` on, each event with its number.

        Args:
            follow: also those to come, until the study runs no more. A stream that breaks goes on where it
                was. A metric that is no finite number arrives there as NaN.
        """
        return followed(self._api, name, start) if follow else logged(self._api, name, start)

    def pause(self, name: str) -> StudyInfo:
        """Have its jobs save and stop at their next report."""
        return self._info(Call("POST", f"{of(name)}/pause"))

    def stop(self, name: str) -> StudyInfo:
        """End it: its jobs save and stop at their next report."""
        return self._info(Call("POST", f"{of(name)}/stop"))

    def resume(self, name: str) -> StudyInfo:
        """Go on with one that was paused, stopped, extended or ended."""
        return self._info(Call("POST", f"{of(name)}/resume"))

    def delete(self, name: str) -> None:
        """Remove it, its log and its files."""
        self._api.json(Call("DELETE", of(name)))

    def change(  # noqa: PLR0913  # a door
        self,
        name: str,
        *,
        new_name: str | None = None,
        trials: int | None = None,
        budget: str | float | None = None,
        total_resource: int | None = None,
        target: float | None = None,
        weight: float | None = None,
        priority: int | None = None,
        min_slots: int | None = None,
        max_slots: int | None = None,
    ) -> StudyInfo:
        """Change its limits, its shares or its name; what is None stays."""
        given = {key: value for key, value in locals().items() if key not in ("self", "name", "new_name")}
        body = {key: value for key, value in {"name": new_name, **given}.items() if value is not None}
        return self._info(Call("PATCH", of(name), body))

    def extend(
        self,
        name: str,
        *,
        trials: int | None = None,
        budget: str | float | None = None,
        total_resource: int | None = None,
    ) -> StudyInfo:
        """Give it this much more than it has spent or may spend, whichever is more; then `resume` it.

        Args:
            budget: seconds of wall time, or text such as "5m".

        Raises:
            StudyError: nothing is given, or a limit that the study does not have.
        """
        return self._info(Call("PATCH", of(name), _added(self.study(name), trials, budget, total_resource)))

    def enqueue(self, name: str, config: Mapping[str, Any]) -> None:
        """Have a configuration run before any that the sampler proposes."""
        self._wish(name, "enqueue", config)

    def note(self, name: str, text: str) -> None:
        """Write a note into its log."""
        self._wish(name, "note", {"text": text})

    def fix(self, name: str, values: Mapping[str, Any]) -> None:
        """Give all configurations to come these values; an empty mapping fixes nothing any more."""
        self._wish(name, "fix", values)

    def change_space(self, name: str, space: Any, given: Mapping[str, Any] | None = None) -> None:
        """Take configurations from another space; `given` is what new parameters were so far."""
        self._wish(name, "change_space", {"space": _form(space), "given": dict(given or {})})

    def known(
        self,
        name: str,
        config: Mapping[str, Any],
        metrics: float | Mapping[str, float],
        resource: int | None = None,
    ) -> None:
        """Tell a result that is known from elsewhere."""
        values = sent(metrics) if isinstance(metrics, Mapping) else metrics
        body = {"config": dict(config), "metrics": values, "resource": resource}
        self._api.json(Call("POST", f"{of(name)}/known", body))

    def workers(self) -> list[dict[str, Any]]:
        """Machines that lend slots now: name, slots, how many of them are busy, labels."""
        return list(self._pages("/workers", {}))

    # -- inside ---------------------------------------------------------------------------------------

    def _info(self, call: Call) -> StudyInfo:
        return msgspec.convert(self._api.json(call), StudyInfo)

    def _wish(self, name: str, request: str, data: Mapping[str, Any]) -> None:
        self._api.json(Call("POST", f"{of(name)}/requests", {"request": request, "data": dict(data)}))

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[Any]:
        asked = {key: value for key, value in query.items() if value is not None}
        while True:
            page = self._api.json(Call("GET", path, query=asked))
            yield from page["items"]
            if page["next"] is None:
                return
            asked = {**asked, "cursor": page["next"]}


def _added(
    now: StudyInfo, trials: int | None, budget: str | float | None, total_resource: int | None
) -> dict[str, Any]:
    """The limits that are to change, as a request has them, where this much is added to a study."""
    from rung.study.extending import NAMES, Spent, extended
    from rung.study.limits import make_limits

    more = make_limits(trials, budget, total_resource)
    if not more.ends:
        raise StudyError("say how much more: trials, budget or total_resource")
    limits = msgspec.convert(now.limits, Limits)
    most = extended(limits, Spent(now.begun, now.seconds, now.spent), more)
    return {NAMES[key]: getattr(most, key) for key in NAMES if getattr(more, key) is not None}


def _form(space: Any) -> Any:
    """A space as JSON; what is in that form already stays."""
    from rung.space import to_json

    if isinstance(space, Mapping) and isinstance(space.get("parameters"), list):
        return dict(space)
    if type(space).__module__.partition(".")[0] == "ConfigSpace":
        from rung.space import from_configspace

        space = from_configspace(space)
    return to_json(space)


def _curve(devices: int | str, efficiency: float | None, scaling: Scaling | None) -> dict[str, float] | None:
    """The speed-ups, read where they are in a file of this machine."""
    if scaling is None:
        return None
    from rung.study.devices import make_allotment

    wanted = make_allotment(devices, 0.75 if efficiency is None else efficiency, scaling)
    return {str(count): speedup for count, speedup in wanted.scaling}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
