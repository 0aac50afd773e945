"""`rung service user`, `rung service token` and `rung service audit`: they open the storage's own tables."""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli import output
from rung.cli.options import DEFAULT_STORAGE, Json, Storage
from rung.errors import UserError

if TYPE_CHECKING:
    from rung.service.access import Role, Scope
    from rung.service.accounts import Accounts, Entry, Token

users = typer.Typer(no_args_is_help=True, help="Who may come in.")
tokens = typer.Typer(no_args_is_help=True, help="What they come in with.")

_DAY = 86_400.0
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
RoleName = Annotated[str, typer.Option("--role", metavar="viewer|member|admin", help="What they may do.")]


@contextmanager
def _accounts(storage: str) -> Iterator[Accounts]:
    from rung.deploy.extras import need

    need("service", "rung service")
    from rung.service.accounts import Accounts

    accounts = Accounts(storage)
    try:
        yield accounts
    finally:
        accounts.close()


def _by(action: str, what: str) -> Entry:
    """The line of the audit log about a command typed here."""
    from rung.service.accounts import Entry

    return Entry(time.time(), f"os:{getpass.getuser()}", "", f"rung service {action}", what, "ok")


def _role(text: str) -> Role:
    from rung.service.access import Role

    try:
        return Role(text)
    except ValueError as error:
        raise UserError(f"--role {text!r} is unknown: say {', '.join(Role)}") from error


def _called(role: str) -> str:
    return f"an {role}" if role.startswith("a") else f"a {role}"


# -- users --------------------------------------------------------------------------------------------------


@users.command("add")
def add(name: Name, role: RoleName = "member", storage: Storage = DEFAULT_STORAGE) -> None:
    """Add a user. One that was removed comes back, and owns again what was theirs."""
    with _accounts(storage) as accounts:
        accounts.add_user(name, _role(role), _by("user add", f"{name} {role}"))
    output.say(f"{name} is {_called(role)}; `rung service token create --user {name}` makes a token")


@users.command("role")
def role_of(
    name: Name,
    role: Annotated[str, typer.Argument(metavar="viewer|member|admin", help="What they may do from now on.")],
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Change what a user may do."""
    with _accounts(storage) as accounts:
        accounts.set_role(name, _role(role), _by("user role", f"{name} {role}"))
    output.say(f"{name} is {_called(role)}")


@users.command("list")
def list_users(storage: Storage = DEFAULT_STORAGE, json: Json = False) -> None:
    """All users, those that were removed too."""
    with _accounts(storage) as accounts:
        found = accounts.users()
    if json:
        output.print_json(found)
        return
    table = output.grid("user", "role", "since", "removed")
    for user in found:
        table.add_row(user.name, user.role, _day(user.created), _day(user.disabled))
    output.out().print(table)


@users.command("remove")
def remove(name: Name, storage: Storage = DEFAULT_STORAGE) -> None:
    """Let a user in no more. Their tokens are revoked; their studies stay, for admins to change."""
    with _accounts(storage) as accounts:
        accounts.remove_user(name, _by("user remove", name))
    output.say(f"{name} is let in no more")


# -- tokens -------------------------------------------------------------------------------------------------


@tokens.command("create")
def create(  # a door
    user: Annotated[str, typer.Option(metavar="NAME", help="Whose it is.")],
    role: Annotated[
        str | None, typer.Option(metavar="viewer|member|admin", help="Add the user first, as this.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="What it is for: studies:read, studies:write, jobs, workers (lends machines), admin. "
            "Repeatable; without one all that the role allows, but for lending.",
        ),
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.001, max=36_500, help="How long it counts.")] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What it is for, for people.")] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it to a file that only you can read.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Make a token. It is shown once, on stdout, and nowhere kept."""
    with _accounts(storage) as accounts:
        scopes = _scopes(scope or [])
        with _room_for(out):
            if role is not None:
                _see_to(accounts, user, _role(role))
            expires = None if days is None else time.time() + days * _DAY
            action = _by("token create", user)
            made, text = accounts.create_token(user, scopes, expires=expires, note=note, by=action)
            if out is not None:
                _write(out, text)
    if out is None:
        typer.echo(text)
    output.say(f"token {made.id} of {user}, {_how_long(made)}; it is not shown again")


def _see_to(accounts: Accounts, name: str, role: Role) -> None:
    """Add the user, unless there is one who has this role.

    Raises:
        UserError: there is one who has another.
    """
    has = next((user.role for user in accounts.users() if user.name == name and user.disabled is None), None)
    if has is None:
        accounts.add_user(name, role, _by("user add", f"{name} {role}"))
    elif has is not role:
        raise UserError(
            f"{name} is there already, as {_called(has)}: leave --role out, or change it first, by "
            f"`rung service user role {name} {role}`"
        )


@contextmanager
def _room_for(out: Path | None) -> Iterator[None]:
    """A file for a token that the block makes: it can be written, and no other token is lost by that.

    Raises:
        UserError: it is there already, or cannot be written; then no token is made.
    """
    if out is None:
        yield
        return
    if os.path.lexists(out):
        raise UserError(f"{out} is there already: name another file, or delete it if nobody needs its token")
    _write(out, "")
    try:
        yield
    except BaseException:
        out.unlink(missing_ok=True)
        raise


def _scopes(given: list[str]) -> list[Scope]:
    from rung.service.access import Scope

    try:
        return [Scope(text) for text in given]
    except ValueError as error:
        raise UserError(f"{error}: scopes are {', '.join(Scope)}") from error


@tokens.command("list")
def list_tokens(
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Only this user's.")] = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """All tokens by how they begin, newest first."""
    with _accounts(storage) as accounts:
        found = accounts.tokens(user)
    if json:
        output.print_json(found)
        return
    table = output.grid("id", "user", "begins", "scopes", "made", "last used", "state", "note")
    for token in found:
        shown = ("", token.shown, " ".join(token.scopes) or "-", _day(token.created), _day(token.used))
        table.add_row(token.id, token.user, *shown[1:], _how_long(token), token.note)
    output.out().print(table)


@tokens.command("revoke")
def revoke(
    number: Annotated[str, typer.Argument(metavar="ID", help="`rung service token list` has them.")],
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Let a token count no more; a service that runs heeds it within three seconds."""
    with _accounts(storage) as accounts:
        accounts.revoke(number, by=_by("token revoke", number))
    output.say(f"token {number} counts no more")


def audit(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many lines.")] = 50,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Only this user's.")] = None,
    storage: Storage = DEFAULT_STORAGE,
    json: Json = False,
) -> None:
    """Who did what, newest first."""
    with _accounts(storage) as accounts:
        found = accounts.audit(limit, user=user)
    if json:
        output.print_json(found)
        return
    table = output.grid("time", "user", "token", "action", "object", "outcome", "from")
    for each in found:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each.time))
        table.add_row(when, each.user, each.token, each.action, each.object, each.outcome, each.address)
    output.out().print(table)


def bootstrapped(accounts: Accounts, path: Path) -> None:
    """Make the first admin, whose token goes into a file that only its owner can read, if there is no user.

    Raises:
        UserError: the file cannot be written; then no user was made.
    """
    if accounts.users():
        output.say(f"there are users already: {path} is left as it is")
        return
    from rung.service.access import Role

    _write(path, "")  # first, so that no admin is made whose token nobody has
    accounts.add_user("admin", Role.ADMIN, _by("user add", "admin admin"))
    _, text = accounts.create_token("admin", note="the first", by=_by("token create", "admin"))
    _write(path, text)
    output.say(f"the user admin was made; the token is in {path}")


def _write(path: Path, text: str) -> None:
    from rung.service.local_token import write_secret

    try:
        write_secret(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): name another file") from error


def _day(seconds: float | None) -> str:
    return "-" if seconds is None else time.strftime("%Y-%m-%d", time.localtime(seconds))


def _how_long(token: Token) -> Any:
    """Whether a token counts, and until when."""
    if token.revoked is not None:
        return f"revoked {_day(token.revoked)}"
    if token.expires is None:
        return "counts"
    return f"{'expired' if token.expires <= time.time() else 'counts until'} {_day(token.expires)}"
