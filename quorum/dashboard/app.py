"""The application: one router per topic behind one gate (spec U1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib.resources import files

from fastapi import FastAPI, HTTPException, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.middleware.gzip import GZipMiddleware

from quorum import __version__
from quorum.dashboard import metrics, stream
from quorum.dashboard.access import COOKIE, Access, Gate, form_fields
from quorum.dashboard.pages import PAGES
from quorum.dashboard.render import environment
from quorum.dashboard.source import Source
from quorum.dashboard.stream import Watcher
from quorum.errors import QuorumError
from quorum.report.page.compose import page_text

TYPES = {"js": "text/javascript", "css": "text/css", "LICENSE": "text/plain"}
#: Files that the dashboard shares with the report's page.
SHARED = ("page.css", "page.js")
#: Seconds a session lasts.
SESSION = 30 * 24 * 3600


def create_app(source: Source, access: Access) -> FastAPI:
    """Return the application over a source."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.watcher = Watcher(source)
        looking = asyncio.create_task(app.state.watcher.run())
        yield
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking

    app = FastAPI(
        title="Quorum", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        description="What a bot sees, decides and holds. Everything needs the token: "
        "`Authorization: Bearer <token>`.",
    )  # fmt: skip
    app.state.source = source
    app.state.access = access
    for found in PAGES:
        app.include_router(found.router)
    app.include_router(stream.router)
    app.include_router(metrics.router)
    _add_doors(app, access)
    app.add_exception_handler(QuorumError, _explained)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    app.add_middleware(GZipMiddleware, minimum_size=1000)
    app.add_middleware(Gate, access=access)
    return app


def _add_doors(app: FastAPI, access: Access) -> None:
    """Add what anyone may see: the form, the files, a sign of life."""

    @app.get("/login", include_in_schema=False)
    def login(next: str = "/", wrong: bool = False) -> HTMLResponse:
        text = environment().get_template("login.html").render(next=_own_path(next), wrong=wrong)
        return HTMLResponse(text)

    @app.post("/login", include_in_schema=False)
    async def enter(request: Request) -> Response:
        fields = await form_fields(request)
        if not await access.knows(fields.get("token", "").strip()):
            return RedirectResponse("/login?wrong=true", 303)
        answer = RedirectResponse(_own_path(fields.get("next", "/")), 303)
        answer.set_cookie(
            COOKIE, access.session, max_age=SESSION, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    @app.post("/logout", include_in_schema=False)
    def leave() -> Response:
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE)
        return answer

    @app.get("/alive", include_in_schema=False)
    def alive() -> PlainTextResponse:
        return PlainTextResponse("alive")

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        content = static_file(name)
        if content is None:
            raise HTTPException(404, "there is no such file")
        kind = TYPES.get(name.rsplit(".", 1)[-1], "application/octet-stream")
        return Response(content, media_type=kind, headers={"Cache-Control": "max-age=3600"})


@cache
def static_file(name: str) -> bytes | None:
    """Return a file of the pages, None where there is no such file."""
    if name in SHARED:
        return page_text(name).encode()
    if name == "plotly.js":
        from plotly.offline import get_plotlyjs

        script: str = get_plotlyjs()
        return script.encode()
    kept = {found.name: found for found in (files("quorum.dashboard") / "static").iterdir()}
    return kept[name].read_bytes() if name in kept else None


def _own_path(path: str) -> str:
    """Return a path of this site; anything else is the first page."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


def _explained(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 503)


def _described(app: FastAPI) -> dict[str, object]:
    """Return the description of the API, with how the token is given."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemes = schema.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        schema["security"] = [{"token": []}]
        app.openapi_schema = schema
    return app.openapi_schema
