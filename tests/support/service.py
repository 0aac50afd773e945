"""A small application behind the service's guards, and what tests of the service share."""

from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.testclient import TestClient

from rung.errors import ConflictError, LeaseError, MissingError, SpaceError, StorageError, StudyError
from rung.service import api_admin, api_health, guards, problems
from rung.service.access import Principal, Role, Scope, needs
from rung.service.accounts import Accounts
from rung.service.metrics import Metrics

ERRORS = {
    "missing": MissingError("there is no study 'x' in sqlite:////srv/rung.db: it has no studies"),
    "conflict": ConflictError("the name 'x' is taken"),
    "lease": LeaseError("the job is over"),
    "space": SpaceError("parameter 'x': low is above high"),
    "study": StudyError("eta 1 is no whole number of at least 2"),
    "storage": StorageError("/srv/rung.db is damaged: restore a copy of it"),
}


def routes():
    """Routes that fail in all ways, want all roles, and read what is sent."""
    router = APIRouter(prefix="/studies")

    @router.get("/{name}/fails/{how}")
    def fails(name: str, how: str):
        if how in ERRORS:
            raise ERRORS[how]
        raise RuntimeError(f"inside: {how}")

    @router.get("/{name}/as/{role}")
    def read(name: str, who: Annotated[Principal, Depends(needs(Role.VIEWER))]):
        return {"user": who.user, "lends": who.lends}

    @router.post("/{name}/pause")
    def write(name: str, who: Annotated[Principal, Depends(needs(Role.MEMBER))]):
        return {"user": who.user}

    @router.post("/{name}/ask")
    def ask(name: str, who: Annotated[Principal, Depends(needs(Role.MEMBER, Scope.JOBS))]):
        return {"user": who.user}

    @router.post("/{name}/body")
    async def body(name: str, request: Request, who: Annotated[Principal, Depends(needs(Role.MEMBER))]):
        return {"bytes": len(await request.body())}

    @router.post("/{name}/fields")
    def fields(name: str, given: dict[str, int], limit: int = 3):
        return given

    @router.get("/{name}/events")
    async def events(name: str):
        async def forever():
            yield b"retry: 1000\n\n"

        return StreamingResponse(forever(), media_type="text/event-stream")

    return router


def small_app(accounts: Accounts, limits: guards.Limits | None = None) -> FastAPI:
    """The routes above and the admin's, as the service puts them together."""
    app = FastAPI()
    for router in (routes(), api_admin.router):
        app.include_router(router, prefix="/api/v1")
    app.include_router(api_health.router)
    problems.install(app, hidden=("sqlite:////srv/rung.db",))
    guards.install(app, limits or guards.Limits(), accounts, Metrics())
    return app


def client_of(app: FastAPI, token: str | None = None) -> TestClient:
    """A client of the application, in this process."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return TestClient(app, headers=headers, raise_server_exceptions=False)


def user(accounts: Accounts, name: str, role: Role = Role.MEMBER, *scopes: Scope) -> str:
    """A new user's token."""
    accounts.add_user(name, role)
    return accounts.create_token(name, scopes)[1]
