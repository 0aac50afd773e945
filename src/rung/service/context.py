"""What every router works with, kept on the application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Header, Request

from rung.errors import ConflictError, LeaseError
from rung.service.access import Principal, Role
from rung.service.problems import Problem

if TYPE_CHECKING:
    from rung.service.desks import Desks
    from rung.service.hub import Hub
    from rung.service.register import Hosted
    from rung.service.signals import Signals
    from rung.service.workers import Workers
    from rung.storage.base import StudyRow


@dataclass(frozen=True)
class Caps:
    """What one user or one request may have.

    Attributes:
        studies: of one user, in the storage.
        page: items of one page.
        checkpoint: bytes of one checkpoint that is sent through the service.
        logs: bytes of what a study's jobs printed.
        checkpoints: the URL below which workers write those of studies that name none; None: they are sent.
    """

    studies: int = 1000
    page: int = 1000
    checkpoint: int = 4 * 2**30
    logs: int = 64 * 2**20
    checkpoints: str | None = None


@dataclass(frozen=True)
class Context:
    """The parts of a running service."""

    hub: Hub
    workers: Workers
    signals: Signals
    desks: Desks
    caps: Caps = field(default_factory=Caps)


async def context_of(request: Request) -> Context:
    """The context of the application that serves this request; a coroutine, so that it takes no thread."""
    context: Context = request.app.state.context
    return context


async def same_study(
    name: str,
    here: Annotated[Context, Depends(context_of)],
    key: Annotated[str, Header(alias="Rung-Study", max_length=100)] = "",
) -> None:
    """Refuse what is said of a job of another study, which had this name and was deleted.

    Raises:
        LeaseError: the study that has the name now has another key than the job's.
    """
    study = here.hub.named(name) if key else None
    if study is not None and study.key != key:
        raise LeaseError(f"this job is of another study {name!r}, which is no more")


def own(context: Context, name: str, principal: Principal) -> StudyRow:
    """A study that this user may change: their own, or anybody's for an admin.

    Raises:
        Problem: it is somebody else's.
        StudyError: there is none of this name.
    """
    row = context.hub.row(name)
    if not may_change(context.hub.hosted(row.key), principal):
        raise Problem(403, "not yours", f"study {name!r} belongs to somebody else: ask them, or an admin")
    return row


def now_named(context: Context, name: str) -> str:
    """What a study is called now: a job that runs has the name that its study had when it began.

    Raises:
        StudyError: there is none of this name.
    """
    try:
        return context.hub.study(name).name
    except ConflictError:  # it does not run
        return name


def may_change(hosted: Hosted | None, principal: Principal) -> bool:
    """Whether this user may change a study."""
    return principal.role is Role.ADMIN or (hosted is not None and hosted.owner == principal.user)


def may_work(context: Context, name: str, principal: Principal) -> None:
    """Refuse to let somebody run a study's jobs who neither owns it nor lends machines.

    Raises:
        Problem: says who may.
    """
    study = context.hub.named(name)
    may_work_for(context, study.key if study is not None else context.hub.row(name).key, name, principal)


def may_work_for(context: Context, key: str, name: str, principal: Principal) -> None:
    """`may_work`, of a study whose key is at hand; waits for nothing."""
    if not may_change(context.hub.hosted(key), principal) and not principal.lends:
        raise Problem(
            403, "not yours", f"the jobs of study {name!r} are for its owner and for machines that are lent"
        )
