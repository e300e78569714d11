"""The stream: every event to every open page, and to who comes back what was missed (spec U1)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from quorum.dashboard.events import Event
from quorum.dashboard.render import source_of
from quorum.dashboard.source import Source
from quorum.errors import QuorumError

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1", tags=["events"])

#: Seconds between two looks at what the bot writes, and between two signs of life.
LOOK, HEARTBEAT = 0.1, 15.0


class Watcher:
    """Looks for new events for all streams together, while the application runs."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._changed = asyncio.Event()
        self._stamp: object = None
        self._known = 0
        self.problem = ""
        self.stopped = False

    def stop(self) -> None:
        """Let every stream end."""
        self.stopped = True
        self._changed.set()

    async def run(self) -> None:
        """Look until cancelled; what cannot be read is said once and tried again."""
        while True:
            try:
                await self._look()
                self.problem = ""
            except Exception as error:
                # Whatever it is: streams that end silently look like a bot that does nothing.
                if str(error) != self.problem:
                    self.problem = str(error)
                    trace = None if isinstance(error, (QuorumError, OSError)) else error
                    logger.error("the dashboard cannot read: %s", error, exc_info=trace)
            await asyncio.sleep(LOOK)

    async def _look(self) -> None:
        stamp = self.source.stamp()
        if stamp == self._stamp:
            return
        known = await run_in_threadpool(self.source.look)
        self._stamp = stamp
        if known != self._known:
            self._known = known
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    async def wait(self) -> bool:
        """Wait for new events; False if none came within a heartbeat."""
        try:
            await asyncio.wait_for(self._changed.wait(), HEARTBEAT)
        except TimeoutError:
            return False
        return True


@router.get("/events", response_class=StreamingResponse)
async def stream(
    request: Request,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[str | None, Query(description="as Last-Event-ID, for the first call")] = None,
) -> StreamingResponse:
    """Send every new event as a server-sent event; ``data`` is an :class:`Event`.

    With ``Last-Event-ID`` everything since is told first, at least once. ``event: reset`` says
    that it is not known any more: read anew.
    """
    watcher: Watcher = request.app.state.watcher
    return StreamingResponse(
        _told(watcher, last_event_id or after),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


@router.get("/events/recent")
def recent(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[Event]:
    """Return the newest events, newest first."""
    source = source_of(request)
    source.snapshot()
    return source.log.latest(limit)


async def _told(watcher: Watcher, since: str | None) -> AsyncIterator[str]:
    log = watcher.source.log
    place = len(log)
    yield "retry: 2000\n\n"
    if since:
        missed = log.since(since)
        if missed is None:
            yield "event: reset\ndata: {}\n\n"
        for event in missed or ():
            yield _line(event)
    while not watcher.stopped:
        # What came while the last was sent is not announced again.
        came = len(log) > place or await watcher.wait()
        fresh, place = log.after(place)
        for event in fresh:
            yield _line(event)
        if not came and not fresh:
            yield ": alive\n\n"


def _line(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n"
