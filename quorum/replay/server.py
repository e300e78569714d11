"""A small HTTP server on 127.0.0.1: a routing table, JSON in and out, a clean end.

It knows nothing of exchanges. Handlers get a :class:`Request` and return what is sent as JSON;
:class:`HTTPError` becomes an error response. Every connection is closed and every thread ended
when the server stops.
"""

from __future__ import annotations

import json
import logging
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from quorum.errors import DataError, QuorumError

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
#: Seconds a silent connection may stay open.
IDLE_TIMEOUT = 60.0


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes
    ----------
    method : str
        ``GET``, ``POST``, ``PUT`` or ``DELETE``.
    path : str
        For example ``"/fapi/v1/exchangeInfo"``.
    parameters : dict of str
        Of the query string and of a form body.
    query, body : str
        As they came.
    headers : dict of str
        By lower-case name.
    """

    method: str
    path: str
    parameters: dict[str, str]
    query: str = ""
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """What is sent back; a handler that returns anything else has it sent as JSON with 200.

    Attributes
    ----------
    content : object
        Sent as JSON.
    status : int, default=200
    headers : dict of str
    kept : float, default=1
        Share of the text that is sent: less than all is no JSON any more.
    breaks : bool, default=False
        Whether what is not kept was promised: the connection breaks off in the middle.
    silent : bool, default=False
        Send nothing and close the connection.
    """

    content: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    kept: float = 1.0
    breaks: bool = False
    silent: bool = False


class HTTPError(QuorumError):
    """An answer other than 200.

    Parameters
    ----------
    status : int
        HTTP status.
    body : object
        Sent as JSON.
    """

    def __init__(self, status: int, body: object) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


Handler = Callable[[Request], object]
Routes = Mapping[tuple[str, str], Handler]


class Service(ABC):
    """What runs while its context is open."""

    @abstractmethod
    def start(self) -> Self:
        """Begin; nothing happens where it has begun already."""

    @abstractmethod
    def stop(self) -> None:
        """End and leave nothing behind."""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class LocalServer(Service):
    """Serves a routing table while the context is open.

    Parameters
    ----------
    routes : mapping of (method, path) to handler
    unknown : callable
        Answers what no route serves.
    port : int, default=0
        0 takes a free one.
    """

    def __init__(self, routes: Routes, unknown: Handler, port: int = 0) -> None:
        self.routes = routes
        self.unknown = unknown
        self._wanted = port
        self._server: _Server | None = None
        self._thread: Thread | None = None

    @property
    def port(self) -> int:
        """The port it listens on; 0 while stopped."""
        return int(self._server.server_address[1]) if self._server else 0

    @property
    def url(self) -> str:
        """For example ``"http://127.0.0.1:8123"``."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> Self:
        """Begin to serve; raises ``DataError`` if the port is in use."""
        if self._server is not None:
            return self
        try:
            self._server = _Server((HOST, self._wanted), self.answer)
        except OSError as error:
            raise DataError(
                f"port {self._wanted} on {HOST} cannot be used ({error.strerror or error}); "
                "choose another one or 0 for any free port"
            ) from error
        except OverflowError:
            raise DataError(f"port {self._wanted}: must be 0 to 65535") from None
        self._thread = Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name=f"server-{self.port}",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection and end every thread."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None

    def answer(self, request: Request) -> Reply:
        """Return the reply to a request, never raising."""
        handler = self.routes.get((request.method, request.path), self.unknown)
        try:
            content = handler(request)
        except HTTPError as error:
            return Reply(error.body, error.status)
        except Exception as error:  # a server answers, whatever happened
            logger.exception("%s %s failed", request.method, request.path)
            return Reply({"code": -1000, "msg": f"{type(error).__name__}: {error}"}, 500)
        return content if isinstance(content, Reply) else Reply(content)


class _Server(ThreadingHTTPServer):
    """Threads that are joined at the end, and connections that can be closed from outside."""

    daemon_threads = False
    block_on_close = True
    # Hosts ask for all their pairs at once; connections the queue has no room for wait for seconds.
    request_queue_size = 512
    # A port just left can be taken again; on Windows this would take one that is in use.
    allow_reuse_address = os.name == "posix"

    def __init__(
        self,
        address: tuple[str, int],
        answer: Callable[[Request], Reply],
    ) -> None:
        super().__init__(address, _Connection)
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._lock = Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then serve it in its thread."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget and close a connection."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Wake every thread that waits for a client's next request."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    logger.debug("connection was closed already")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a client that went away; that is no error of ours."""
        logger.debug("connection of %s broke off", client_address, exc_info=True)


class _Connection(BaseHTTPRequestHandler):
    """Turns HTTP into requests and answers into HTTP."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_TIMEOUT
    # Head and body leave together, at once: else each answer may wait for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = body.decode("utf-8", "replace")
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True))
        if "json" not in self.headers.get("Content-Type", ""):
            parameters.update(parse_qsl(text, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, parts.path, parameters, parts.query, text, headers)
        reply = self.server.answer(request)
        if reply.silent:
            self.close_connection = True
            return
        data = json.dumps(reply.content).encode()
        promised = len(data)
        data = data[: round(len(data) * reply.kept)]
        if reply.breaks:
            self.close_connection = True
        else:
            promised = len(data)
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(promised))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Log requests for debugging only."""
        logger.debug("%s", format % args)
