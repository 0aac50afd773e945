"""Studies over HTTP: create, list, show, change, pause, resume, stop, delete; their trials."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from rung.errors import MissingError, StorageError, StudyError
from rung.service import checkpoint_urls
from rung.service.access import Principal, Role, needs
from rung.service.context import Context, context_of, own
from rung.service.models import Known, NewStudy, StudyChange, Wish, numbers
from rung.service.problems import Problem
from rung.service.shared import digest_of
from rung.service.views import study_detail, study_view, trial_view
from rung.service.wishes import once, wished
from rung.storage.base import StudyRow
from rung.study.changing import known_result
from rung.study.checkpoint_places import places_of
from rung.trials import events as ev
from rung.trials.history import History

router = APIRouter(prefix="/studies", tags=["studies"])

Reader = Annotated[Principal, Depends(needs(Role.VIEWER))]
Member = Annotated[Principal, Depends(needs(Role.MEMBER))]
Here = Annotated[Context, Depends(context_of)]
Key = Annotated[str, Header(alias="Idempotency-Key", max_length=200)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=200)]


def shown(here: Context, name: str) -> dict[str, Any]:
    """A study as a list shows it, and how it stands with the workers."""
    row = here.hub.row(name)
    standing = here.workers.standing(row.key)._asdict()
    lacks = standing.pop("lacks")
    view = study_view(row, here.hub.hosted(row.key), here.hub.running(row.key))
    return {**view, "share": standing, "lacks": lacks}


@router.post("", status_code=201, summary="Begin a study.")
def create(
    new: NewStudy, request: Request, response: Response, who: Member, here: Here, key: Key = ""
) -> dict[str, Any]:
    if here.hub.full(who.user, key, here.caps.studies):
        raise Problem(
            403,
            "too many studies",
            f"{who.user} has {here.caps.studies} studies, the most: delete some first",
        )
    place = checkpoint_urls.named(new.checkpoints, here.caps.checkpoints)
    row = here.hub.create(new.model_copy(update={"checkpoints": place}), who.user, key)
    response.headers["Location"] = f"{request.url.path}/{quote(row.name, safe='')}"
    return shown(here, row.name)


@router.get("", summary="All studies, newest first.")
def listed(
    who: Reader,
    here: Here,
    limit: Limit = 100,
    cursor: Cursor = None,
    state: Annotated[str | None, Query(max_length=40)] = None,
    owner: Annotated[str | None, Query(max_length=200)] = None,
) -> dict[str, Any]:
    hub, following = here.hub, None
    found: list[dict[str, Any]] = []
    rows = hub.storage.list()
    for at in range(_place(rows, cursor), len(rows)):
        row = rows[at]
        one = study_view(row, hub.hosted(row.key), hub.running(row.key))
        if state in (None, one["state"]) and owner in (None, one["owner"]):
            if len(found) == limit:
                following = f"{rows[at - 1].key}-{len(rows) - at}"
                break
            found.append(one)
    return {"items": found, "next": following}


def _place(rows: Sequence[StudyRow], cursor: str | None) -> int:
    """Where in the list a page begins: behind the study that the last one ended with.

    Where that was deleted meanwhile, before the older ones, of which the cursor has the number: nothing is
    left out, and of a list of which still more was deleted some come twice.

    Raises:
        StudyError: no list gave this cursor.
    """
    if cursor is None:
        return 0
    key, _, older = cursor.partition("-")
    if not (older.isascii() and older.isdecimal()):
        raise StudyError(f"cursor {cursor!r} is none: give `next` of the page before, or leave it out")
    for place, row in enumerate(rows):
        if row.key == key:
            return place + 1
    return max(0, len(rows) - int(older))


@router.get("/{name}", summary="One study: what it is, how far it is, its best configuration.")
def show(name: str, who: Reader, here: Here) -> dict[str, Any]:
    row = here.hub.row(name)
    active = here.hub.running(row.key)
    history = active.writer.history if active is not None else _replayed(here, name)
    return {**shown(here, name), **study_detail(history)}


def _replayed(here: Context, name: str) -> History:
    return History().fold_all(here.hub.storage.read(name))


@router.patch("/{name}", summary="Change a study's limits, shares or name.")
def change(name: str, change: StudyChange, who: Member, here: Here) -> dict[str, Any]:
    own(here, name, who)
    row = here.hub.change(name, change)
    return shown(here, row.name)


@router.delete("/{name}", status_code=204, summary="Remove a study, its log and its files.")
def delete(name: str, who: Member, here: Here) -> None:
    own(here, name, who)
    places: tuple[str, ...] = ()
    with suppress(StorageError):  # a damaged log must not stay for ever; what lies elsewhere is left
        places = places_of(here.hub.storage.read(name))
    here.hub.delete(name)
    checkpoint_urls.cleared(name, places)


@router.post("/{name}/pause", summary="Have its jobs save and stop at their next report.")
def pause(name: str, who: Member, here: Here) -> dict[str, Any]:
    own(here, name, who)
    here.hub.wind_down(name, "paused")
    return shown(here, name)


@router.post("/{name}/stop", summary="End it: its jobs save and stop at their next report.")
def stop(name: str, who: Member, here: Here) -> dict[str, Any]:
    own(here, name, who)
    here.hub.wind_down(name, "stopped")
    return shown(here, name)


@router.post("/{name}/resume", summary="Go on with a study that was paused, stopped, ended or extended.")
def resume(name: str, who: Member, here: Here) -> dict[str, Any]:
    own(here, name, who)
    here.hub.resume(name, who.user)
    return shown(here, name)


@router.post("/{name}/requests", status_code=202, summary="Ask something of a study.")
def ask_of(name: str, wish: Wish, who: Member, here: Here, key: Key = "") -> dict[str, Any]:
    own(here, name, who)
    if wish.request in ("pause", "stop"):
        here.hub.wind_down(name, "paused" if wish.request == "pause" else "stopped")
        return {"done": True}
    now = here.hub.now()
    digest = digest_of(wish.model_dump_json())
    here.hub.add(name, once(lambda history: wished(history, wish.request, wish.data, now), key, now, digest))
    return {"done": True}


@router.post("/{name}/known", status_code=202, summary="Tell a result that is known from elsewhere.")
def known(name: str, known: Known, who: Member, here: Here, key: Key = "") -> dict[str, Any]:
    own(here, name, who)
    value = numbers(known.metrics) if isinstance(known.metrics, dict) else known.metrics

    def made(history: History) -> list[ev.Event]:
        return [known_result(history, known.config, value, known.resource, here.hub.now())]

    here.hub.add(name, once(made, key, here.hub.now(), digest_of(known.model_dump_json())))
    return {"done": True}


@router.get("/{name}/trials", summary="Its trials, in order of number.")
def trials(
    name: str,
    who: Reader,
    here: Here,
    limit: Limit = 100,
    cursor: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    from rung.study.records import trials as records

    found = records(here.hub.storage.read(name))
    items = [trial_view(record) for record in found[cursor : cursor + limit]]
    more = cursor + limit < len(found)
    return {"items": items, "next": cursor + limit if more else None, "total": len(found)}


@router.get("/{name}/trials/{number}", summary="One trial.")
def trial(name: str, number: int, who: Reader, here: Here) -> dict[str, Any]:
    from rung.study.records import trials as records

    found = records(here.hub.storage.read(name))
    if not 0 <= number < len(found):
        raise MissingError(f"there is no trial {number} in study {name!r}: it has {len(found)}")
    return trial_view(found[number])
