"""The server: uvicorn, which the host brings, with one process and few words."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from quorum.errors import DataError

#: Seconds that open streams get when the server stops.
GRACE = 2


class AnnouncingServer(uvicorn.Server):
    """Says where it listens once it does, and ends open streams when it stops."""

    def __init__(self, app: FastAPI, host: str, port: int, told: Callable[[str], None]) -> None:
        config = uvicorn.Config(
            app, host=host, port=port, log_level="warning", access_log=False, server_header=False,
            timeout_graceful_shutdown=GRACE,
        )  # fmt: skip
        super().__init__(config)
        self._told = told
        self._app = app

    async def startup(self, sockets: object = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._told(f"http://{host}:{port}")

    async def shutdown(self, sockets: object = None) -> None:
        """Stop; whoever follows the stream comes back to the next server."""
        self._app.state.watcher.stop()
        await super().shutdown(sockets)  # type: ignore[arg-type]


def serve(app: FastAPI, host: str, port: int, told: Callable[[str], None]) -> None:
    """Serve until interrupted or terminated; ``told`` is given the address.

    Raises
    ------
    DataError
        If the address cannot be listened on.
    """
    server = AnnouncingServer(app, host, port, told)
    try:
        server.run()
    except SystemExit as error:
        if server.started:
            raise
        raise DataError(f"{host}:{port}: cannot listen there; give another --port") from error
