"""Who may do what: roles, scopes, and the check that every router asks for.

A token is some user's, and has the user's role. Scopes narrow it further. `needs(role)` is the dependency of
a route; which scope it wants follows from the method, unless it is said.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, NamedTuple, Protocol

import msgspec
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from rung.service.problems import Problem


class Role(StrEnum):
    """What a user may do at most: read; run studies of their own; everything."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return _RANKS[self]


_RANKS: Final = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2}


class Scope(StrEnum):
    """What a token is for. One without scopes is for all that its user's role allows, but not for lending."""

    READ = "studies:read"
    WRITE = "studies:write"
    JOBS = "jobs"  # ask and tell of its user's own studies
    WORKERS = "workers"  # lend machines: jobs of everybody's studies
    ADMIN = "admin"  # users, tokens, the audit log; of who is no admin their own tokens

    @property
    def least(self) -> Role:
        """The role without which a token for this lets nobody do anything."""
        return Role.VIEWER if self in (Scope.READ, Scope.ADMIN) else Role.MEMBER


_INCLUDED: Final[Mapping[Scope, frozenset[Scope]]] = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.WRITE: frozenset({Scope.WRITE, Scope.READ}),
    Scope.JOBS: frozenset({Scope.JOBS, Scope.READ}),
    Scope.WORKERS: frozenset({Scope.WORKERS, Scope.JOBS, Scope.READ}),
    Scope.ADMIN: frozenset({Scope.ADMIN}),
}


class Principal(msgspec.Struct, frozen=True):
    """Whoever a request comes from.

    Attributes:
        user: the name.
        role: the user's.
        token: the number of the token that was shown, not the token itself.
        scopes: what the token is narrowed to; empty: nothing.
        expires: when the token does, seconds since the epoch; None: never.
    """

    user: str
    role: Role
    token: str
    scopes: tuple[Scope, ...] = ()
    expires: float | None = None

    def may(self, role: Role, scope: Scope | None = None) -> bool:
        """Whether they have at least this role, and a token that is good for `scope`."""
        if self.role.rank < role.rank:
            return False
        return scope is None or not self.scopes or any(scope in _INCLUDED[each] for each in self.scopes)

    @property
    def lends(self) -> bool:
        """Whether machines with this token may run everybody's jobs: an admin's, or one made for that."""
        if Scope.WORKERS in self.scopes:
            return self.role.rank >= Role.MEMBER.rank
        return self.role is Role.ADMIN and not self.scopes


class Seen(NamedTuple):
    """What is known of a request's sender: the principal, or the problem that there is with the token."""

    principal: Principal | None
    why: str = ""


class Verifier(Protocol):
    """What knows tokens, see `rung.service.accounts.Accounts`."""

    def remembered(self, text: str) -> Seen | None:
        """Whose this token is, if that was found out just now."""

    def verify(self, text: str) -> Seen:
        """Whose this token is; may take a while."""


NO_TOKEN: Final = Seen(None, "this needs a token, in the header Authorization: Bearer TOKEN")
_NOT_BEARER: Final = Seen(None, "the header Authorization must be: Bearer TOKEN")

_bearer = HTTPBearer(auto_error=False, description="A token, as `rung service token create` shows it once.")
_Header = Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]


async def known(request: Request, _: _Header = None) -> Principal:
    """A FastAPI dependency: the principal of the request, whoever it is.

    Raises:
        Problem: 401 without a token that counts.
    """
    seen = await identify(request)
    if seen.principal is None:
        raise Problem(401, "not known", seen.why, {"WWW-Authenticate": 'Bearer realm="rung"'})
    return seen.principal


def needs(role: Role, scope: Scope | None = None) -> Callable[..., Awaitable[Principal]]:
    """A FastAPI dependency: the principal of the request, who has at least this role.

    Args:
        scope: what the token must be good for; None: to read for GET and HEAD, else to write.

    Raises:
        Problem: 401 without a token that counts, 403 for one that is not allowed this.
    """

    async def principal(request: Request, _: _Header = None) -> Principal:
        found = await known(request)
        wanted = scope or (Scope.READ if request.method in ("GET", "HEAD") else Scope.WRITE)
        if not found.may(role):
            raise Problem(403, "role", f"this takes the role {role}, and {found.user} is a {found.role}")
        if not found.may(role, wanted):
            has = ", ".join(found.scopes)
            raise Problem(403, "scope", f"this takes a token with the scope {wanted}; this one has {has}")
        return found

    return principal


async def identify(request: Request) -> Seen:
    """Who a request comes from; the guards in front have usually found it out already."""
    seen: Seen | None = getattr(request.state, "seen", None)
    if seen is None:
        accounts: Verifier = request.app.state.accounts
        seen = await see(accounts, request.headers.get("authorization"))
        request.state.seen = seen
    return seen


def token_in(header: str | None) -> str | None:
    """The token in a header `Authorization`; None if there is none."""
    kind, _, text = (header or "").partition(" ")
    return (text.strip() or None) if kind.lower() == "bearer" else None


async def see(accounts: Verifier, header: str | None) -> Seen:
    """Who shows this header `Authorization`."""
    token = token_in(header)
    if token is None:
        return _NOT_BEARER if header else NO_TOKEN
    known = accounts.remembered(token)
    return known if known is not None else await run_in_threadpool(accounts.verify, token)


def principal_of(state: Mapping[str, Any]) -> Principal | None:
    """The principal in a request's state (`scope["state"]`), if it is known."""
    seen: Seen | None = state.get("seen")
    return None if seen is None else seen.principal
