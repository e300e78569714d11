"""Dashboards for tests: an application over a source, and a real server of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from fastapi.testclient import TestClient
from page_runs import made_run
from published import agreeing, published, table_of

from quorum.dashboard.access import Access
from quorum.dashboard.app import create_app
from quorum.dashboard.decision import Decision, decision_at
from quorum.dashboard.finished import BacktestSource
from quorum.dashboard.server import AnnouncingServer
from quorum.dashboard.source import Source
from quorum.settings import Settings

TOKEN = "a-token-for-tests-only"
WITH_TOKEN = {"Authorization": f"Bearer {TOKEN}"}
HOSTILE = "<script>alert(1)</script>"


def decision(pair: str, side: int = 1, votes: int = 7) -> Decision:
    """Return a decision of a candle on which ``votes`` heads agree."""
    given = [*agreeing(votes, 0.80, 0.78, side)[:votes], *[(0, 0.5, 0.0)] * (9 - votes)]
    table = table_of(published([given], close=100.0, atr=1.0, zone_position=0.5))
    return decision_at(
        table, 0, pair, "1h", Settings(), close=100.0, tradable=True, capital=100_000.0
    )


def backtest_source(trades: int = 60, *, hostile: bool = False) -> BacktestSource:
    """Return a finished run with decisions; ``hostile`` names a pair like a script."""
    run = made_run(trades)
    pairs = [*run.pairs, *([HOSTILE] if hostile else [])]
    if hostile:
        bad = replace(run.trades[-1], pair=HOSTILE, exit_reason=HOSTILE)
        run = replace(run, trades=(*run.trades, bad), pairs=tuple(pairs)).noting(HOSTILE)
    return BacktestSource(
        run, lambda: {pair: [decision(pair, votes=3), decision(pair)] for pair in pairs}
    )


@contextmanager
def client(source: Source, *, delay: float = 0.0, token: bool = True) -> Iterator[TestClient]:
    """Yield a client of an application that is running."""
    app = create_app(source, Access(TOKEN, delay))
    headers = WITH_TOKEN if token else {}
    with TestClient(app, headers=headers, follow_redirects=False) as found:
        yield found


@contextmanager
def server(source: Source) -> Iterator[str]:
    """Yield the address of a real server."""
    app = create_app(source, Access(TOKEN, 0.0))
    told: list[str] = []
    running = AnnouncingServer(app, "127.0.0.1", 0, told.append)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    try:
        while not told:
            assert thread.is_alive(), "the server did not start"
            threading.Event().wait(0.02)
        yield told[0]
    finally:
        running.should_exit = True
        thread.join(10)
