"""The storage of a service, as the commands read it: the `Storage` protocol over the API.

Readers find all that they find in a file or a database. Nobody but the service writes: `open` and `create`
say so, and what a reader may ask of a study goes through `rung.Client`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from rung.errors import MissingError, StorageError
from rung.service.client import Client
from rung.service.events import pages
from rung.service.http import Api, Call, part
from rung.service.wire import StudyInfo
from rung.storage.base import Log, StudyRow, Summary
from rung.trials.events import Event

_PAGE: Final = 1000  # studies
_RUNS: Final = frozenset({"running", "pausing", "stopping", "waiting"})


class RemoteStorage:
    """The studies of one service.

    Args:
        api: the connections to it, which are closed with this.
    """

    def __init__(self, api: Api) -> None:
        self.api = api
        self.client = Client.over(api)

    @property
    def url(self) -> str:
        return self.api.url

    def read(self, name: str, start: int = 0) -> Iterator[Event]:
        found = pages(self.api, name, start)
        first = next(found, [])  # now: that there is no such study shows here
        return chain(first, chain.from_iterable(found))

    def list(self, limit: int | None = None) -> Sequence[StudyRow]:
        rows: list[StudyRow] = []
        query: dict[str, str | int] = {"limit": min(limit or _PAGE, _PAGE)}
        while limit is None or len(rows) < limit:
            page = self.api.json(Call("GET", "/studies", query=query))
            rows += [_row(msgspec.convert(one, StudyInfo)) for one in page["items"]]
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
        return rows[:limit]

    def find(self, name: str) -> StudyRow | None:
        try:
            answer = self.api.json(Call("GET", f"/studies/{part(name)}"))
        except MissingError:
            return None
        return _row(msgspec.convert(answer, StudyInfo))

    def folder(self, name: str) -> Path:
        """None that this machine has.

        Raises:
            StorageError: says where its files are.
        """
        raise StorageError(
            f"the files of study {name!r} are not on this machine: the service at {self.url} has its "
            "checkpoints (rung.Client.download) and what its jobs printed (rung logs)"
        )

    def request(self, name: str, request: str, data: Mapping[str, object]) -> None:
        body = {"request": request, "data": dict(data)}
        self.api.json(Call("POST", f"/studies/{part(name)}/requests", body))

    def rename(self, name: str, new: str) -> None:
        self.client.change(name, new_name=new)

    def delete(self, name: str) -> None:
        self.client.delete(name)

    def create(self, name: str, first: Sequence[Event], summary: Summary) -> Log:
        """Nothing: a service is told what to create.

        Raises:
            StorageError: says so.
        """
        self._refuse()

    def open(self, name: str) -> Log:
        """Nothing: a service lets nobody else write.

        Raises:
            StorageError: says so.
        """
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise StorageError(
            f"the studies of the service at {self.url} are written by the service only: "
            "submit them with `rung --service URL tune MODULE:FUNCTION`, or use rung.Client"
        )

    def close(self) -> None:
        self.api.close()


def _row(info: StudyInfo) -> StudyRow:
    summary = Summary(
        door=info.door,
        state=info.state,
        trials=info.trials,
        finished=info.finished,
        metric=info.metric,
        best=info.best,
        spent=info.spent,
        seconds=info.seconds,
        created=info.created,
        updated=info.updated,
    )
    writer = info.elsewhere or ("the service" if info.state in _RUNS else None)
    return StudyRow(info.name, info.key, summary, info.events, writer)
