"""Users, tokens and the audit log over HTTP, and `whoami`."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from rung.service.access import Principal, Role, Scope, known, needs
from rung.service.accounts import LOCAL, Accounts, Entry, Token
from rung.service.guards import entry, route_of
from rung.service.problems import Problem

router = APIRouter(tags=["admin"])

Anybody = Annotated[Principal, Depends(known)]
Holder = Annotated[Principal, Depends(needs(Role.VIEWER, Scope.ADMIN))]
Admin = Annotated[Principal, Depends(needs(Role.ADMIN, Scope.ADMIN))]
UserName = Annotated[str, Path(min_length=1, max_length=100)]
_DAY = 86_400.0


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewUser(_Body):
    """A user to add."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$")]
    role: Role = Role.MEMBER


class UserChange(_Body):
    """What may change of a user."""

    role: Role


class NewToken(_Body):
    """A token to make; without `user` for whoever asks."""

    user: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    scopes: Annotated[list[Scope], Field(max_length=10)] = []
    days: Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)] | None = None
    note: Annotated[str, Field(max_length=200)] = ""


def accounts_of(request: Request) -> Accounts:
    """The accounts of the application that serves this request."""
    accounts: Accounts = request.app.state.accounts
    return accounts


Kept = Annotated[Accounts, Depends(accounts_of)]


def line(request: Request, who: Principal, what: str) -> Entry:
    """The line of the audit log about this request, which is written together with what it does."""
    request.state.audited = what
    return entry(who, f"{request.method} {route_of(request.scope)}", what, 200, request.scope)


@router.get("/whoami", summary="Whose the token is, and what it is good for.")
async def whoami(who: Anybody) -> dict[str, Any]:
    return {
        "user": who.user,
        "role": who.role,
        "token": who.token,
        "scopes": list(who.scopes),
        "expires": who.expires,
        "lends": who.lends,
    }


@router.get("/users", summary="All users, those that were removed too.")
def users(who: Admin, kept: Kept) -> dict[str, Any]:
    return {"items": [msgspec.to_builtins(user) for user in kept.users()], "next": None}


@router.post("/users", status_code=201, summary="Add a user.")
def add_user(new: NewUser, request: Request, response: Response, who: Admin, kept: Kept) -> Any:
    user = kept.add_user(new.name, new.role, line(request, who, f"{new.name} {new.role}"))
    response.headers["Location"] = f"{route_of(request.scope)}/{user.name}"
    return msgspec.to_builtins(user)


@router.patch("/users/{name}", summary="Change a user's role.")
def change_user(name: UserName, change: UserChange, request: Request, who: Admin, kept: Kept) -> Any:
    return msgspec.to_builtins(kept.set_role(name, change.role, line(request, who, f"{name} {change.role}")))


@router.delete("/users/{name}", status_code=204, summary="Let a user in no more. Their studies stay.")
def remove_user(name: UserName, request: Request, who: Admin, kept: Kept) -> None:
    kept.remove_user(name, line(request, who, name))


@router.get("/tokens", summary="Tokens: an admin's view has everybody's.")
def tokens(
    who: Holder, kept: Kept, user: Annotated[str | None, Query(max_length=100)] = None
) -> dict[str, Any]:
    if who.role is not Role.ADMIN:
        if user not in (None, who.user):
            raise Problem(403, "not yours", "other users' tokens are for admins to see")
        user = who.user
    return {"items": [_shown(token) for token in kept.tokens(user)], "next": None}


@router.post("/tokens", status_code=201, summary="Make a token. Its text is in the answer, and nowhere else.")
def create_token(request: Request, who: Holder, kept: Kept, given: NewToken | None = None) -> Any:
    new = given or NewToken()
    user = new.user or who.user
    _check_wish(who, user, new.scopes)
    expires = None if new.days is None else time.time() + new.days * _DAY
    if who.expires is not None:  # what ends does not make what does not
        expires = who.expires if expires is None else min(expires, who.expires)
    made, text = kept.create_token(
        user, new.scopes, expires=expires, note=new.note, by=line(request, who, user)
    )
    return {**_shown(made), "text": text}


def _check_wish(who: Principal, user: str, scopes: list[Scope]) -> None:
    if user == LOCAL:
        raise Problem(422, "not usable", f"the user {LOCAL!r} has one token only: name a user with `user`")
    if who.role is not Role.ADMIN and user != who.user:
        raise Problem(403, "not yours", "tokens of other users are for admins to make")
    if who.role is not Role.ADMIN and Scope.WORKERS in scopes:
        raise Problem(
            403, "scope", "tokens that lend machines to everybody (scope workers) are for admins to make"
        )


@router.delete("/tokens/{number}", status_code=204, summary="Let a token count no more.")
def revoke(
    number: Annotated[str, Path(min_length=1, max_length=20)], request: Request, who: Holder, kept: Kept
) -> None:
    kept.revoke(number, None if who.role is Role.ADMIN else who.user, line(request, who, number))


@router.get("/audit", summary="Who did what, newest first.")
async def audit(
    who: Admin,
    kept: Kept,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[int | None, Query(ge=1, lt=2**53)] = None,
    user: Annotated[str | None, Query(max_length=100)] = None,
) -> dict[str, Any]:
    found = await run_in_threadpool(kept.audit, limit, cursor, user)
    following = found[-1].id if len(found) == limit else None
    return {"items": [msgspec.to_builtins(each) for each in found], "next": following}


def _shown(token: Token) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(token)
    return shown
