"""Access: nothing without the token, a wrong one slowly, no other site (spec U1)."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quorum.errors import DataError

COOKIE = "quorum_session"
#: Seconds that a wrong token takes; they are answered one after the other.
DELAY = 1.0
#: What is served to anyone: the form that asks for the token, and the files it is made of.
OPEN = ("/login", "/static/", "/alive")
#: Characters a token has at least.
SHORTEST = 16
#: Bytes that a form may have.
LONGEST_FORM = 10_000
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
READING = ("GET", "HEAD", "OPTIONS")


def read_token(file: Path, environment: Mapping[str, str] = os.environ) -> str:
    """Return the token: from ``QUORUM_TOKEN``, or a file, which is made where it is missing.

    Raises
    ------
    DataError
        If it is short, or others may read the file.
    """
    token = environment.get("QUORUM_TOKEN", "")
    if token:
        return _long_enough(token, "QUORUM_TOKEN")
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_urlsafe(32))
    if os.name == "posix" and file.stat().st_mode & 0o004:
        raise DataError(f"{file}: everybody on this machine may read the token; chmod 600 it")
    return _long_enough(file.read_text(encoding="utf-8").strip(), str(file))


def _long_enough(token: str, where: str) -> str:
    if len(token) < SHORTEST:
        raise DataError(f"{where}: a token needs {SHORTEST} characters at least")
    return token


class Access:
    """Knows the token, and the cookie of who gave it."""

    def __init__(self, token: str, delay: float = DELAY) -> None:
        self._token = token.encode()
        self._delay = delay
        self._waiting = asyncio.Lock()
        self.session = hmac.digest(self._token, b"quorum dashboard session", "sha256").hex()
        self.refused = 0

    async def knows(self, token: str) -> bool:
        """Tell whether a token is right; a wrong one takes its time."""
        if hmac.compare_digest(token.encode(), self._token):
            return True
        self.refused += 1
        async with self._waiting:
            await asyncio.sleep(self._delay)
        return False

    async def lets_in(self, headers: Headers) -> bool:
        """Tell whether a request carries the token or the cookie."""
        given = headers.get("authorization", "")
        if given.lower().startswith("bearer "):
            return await self.knows(given[7:].strip())
        cookie = _cookie(headers.get("cookie", ""))
        return hmac.compare_digest(cookie.encode(), self.session.encode())


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def from_elsewhere(headers: Headers) -> bool:
    """Tell whether a browser sends a request for another site's page."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host", "")


async def form_fields(request: Request) -> dict[str, str]:
    """Return the fields of a form that a page has sent; nothing of one that is too long."""
    if int(request.headers.get("content-length") or LONGEST_FORM) >= LONGEST_FORM:
        return {}
    body = (await request.body()).decode("utf-8", "replace")
    return {name: values[-1] for name, values in parse_qs(body).items()}


class Gate:
    """Middleware: asks for the token, refuses other sites, adds the headers of every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, _with_headers(send))
        else:
            await refusal(scope, receive, _with_headers(send))

    async def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if scope["method"] not in READING and from_elsewhere(headers):
            return JSONResponse({"detail": "a page of another site sent this"}, 403)
        if path.startswith(OPEN) or await self.access.lets_in(headers):
            return None
        if path.startswith(("/api/", "/metrics")) or scope["method"] not in READING:
            return JSONResponse({"detail": "give the token: Authorization: Bearer ..."}, 401)
        return RedirectResponse(f"/login?next={quote(path)}", 303)


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return add
