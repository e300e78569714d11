"""Advisors that fail in every way while a bot trades: nothing late, lost, or asked twice.

A stock freqtrade process trades on the local exchange; ``quorum advise`` runs beside it on the
same clock and asks a server of all providers on this machine, which spoils its answers.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from live_exchange import ROOT, Bot, Drill, ms

from drills.ground import BUSY, PAIRS, Report
from quorum.advisors.fact_store import FactStore
from quorum.advisors.ledger import Ledger, Row
from quorum.advisors.record import ANSWERED, FINAL
from quorum.advisors.simulated import Fault, ProviderServer
from quorum.state import Store

BEGIN = "2023-06-22 03:30"
CADENCE = pd.Timedelta("4h")
HOUR_MS = 3_600_000
KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY"}
ROLES = dict(zip(KEYS, ("technician", "risk_officer", "strategist"), strict=True))
#: What each provider meets at one close after the other; the slow one outlasts the client.
ORDEALS = (*[fault for fault in Fault if fault is not Fault.SLOW], Fault.SLOW)


def run(
    folder: Path,
    datadir: Path,
    *,
    report: Report,
    pairs: Sequence[str] = PAIRS,
    ordeals: Sequence[Fault] = ORDEALS,
    begin: str = BEGIN,
) -> None:
    """Let a bot trade through one ordeal after the other.

    Parameters
    ----------
    folder, datadir : Path
    report : Report
    pairs : sequence of str
    ordeals : sequence of Fault
        At each close of four hours every provider meets the next one, the second and third
        provider those after it.
    begin : str
    """
    state = folder / "state.sqlite"
    with (
        ProviderServer(slow=32.0, retry_after=0.1) as server,
        Drill(
            folder, datadir, begin, pairs=pairs, throttle=300, config=_config(server, state)
        ) as drill,
    ):
        drill.start_bot()
        writer = _start_writer(drill)
        try:
            close = pd.Timestamp(begin, tz="UTC").ceil(CADENCE)
            for i in range(len(ordeals)):
                for j, name in enumerate(KEYS):
                    server.plan(name, ordeals[(i + j) % len(ordeals)])
                drill.run_until(close + pd.Timedelta("5min"))
                _wait(Store(f"sqlite:///{state}"), ms(close), len(pairs) * len(KEYS), writer)
                close += CADENCE
            report.faults.update(str(fault) for fault in ordeals for _ in KEYS)
        finally:
            status = writer.stop(60.0)
        if status:
            report.losses.append(f"the writer ended with {status}: {writer.log[-500:]}")
        if not drill.bot.alive:
            report.losses.append(f"the bot ended: {drill.bot.log[-500:]}")
        report.trades = len(drill.trades())
    store = Store(f"sqlite:///{state}", patience=10)
    first = pd.Timestamp(begin, tz="UTC").ceil(CADENCE)
    closes = [ms(first + i * CADENCE) for i in range(len(ordeals))]
    report.losses += problems(Ledger(store), FactStore(store), server, closes, pairs)
    store.close()


def problems(
    ledger: Ledger,
    facts: FactStore,
    server: ProviderServer,
    closes: Sequence[int],
    pairs: Sequence[str],
) -> list[str]:
    """Return whatever is late, lost or doubled."""
    found = []
    rows = [row for row in ledger.rows() if row.kind == "timeframes"]
    ledger.verify()
    by_question: dict[tuple[int, str, str], list[Row]] = {}
    for row in rows:
        by_question.setdefault((int(row.candle), row.pair, row.provider), []).append(row)
    for close in closes:
        if {f.pair for f in facts.at(close)} != set(pairs):
            found.append(f"facts at {close} are not of every pair")
        for pair in pairs:
            for provider in KEYS:
                told = by_question.get((close, pair, provider), [])
                final = sum(row.status in FINAL for row in told)
                if not told:
                    found.append(f"{provider} on {pair} at {close}: no record")
                if final > 1:
                    found.append(f"{provider} on {pair} at {close}: {final} answers stand")
    found += [
        f"record {row.id} arrived {int(row.known_at) - int(row.candle)} ms after its candle"
        for row in rows
        if row.status == ANSWERED and int(row.known_at) - int(row.candle) > HOUR_MS
    ]
    made = Counter((record.provider, record.user) for record in ledger.records(rows))
    tries = Counter[tuple[str, str]]()
    for record in ledger.records(rows):
        tries[record.provider, record.user] += record.attempts
    asked = Counter((name, question.user) for name, question in server.asked)
    found += [
        f"{name} was asked {count} times what has {made[name, user]} records"
        for (name, user), count in asked.items()
        if count > tries[name, user]
    ]
    return found


def _config(server: ProviderServer, state: Path) -> dict[str, object]:
    members = [
        {"provider": name, "model": f"{name}-drill", "role": role, "base_url": server.url}
        for name, role in ROLES.items()
    ]
    advisors = {"enabled": True, "members": members, "questions": ["timeframes"]}
    quorum = {**BUSY["quorum"], "state": {"url": f"sqlite:///{state}"}, "advisors": advisors}
    return {"quorum": quorum}


def _start_writer(drill: Drill) -> Bot:
    """Start ``quorum advise`` on the clock of the drill."""
    call = [
        *(sys.executable, "-m", "quorum.replay.live.accelerate", str(drill.clock.path)),
        *("quorum", "advise", "--config", str(ROOT / "config.json")),
        *("--config", str(drill.folder / "drill.json")),
    ]
    for variable in KEYS.values():
        os.environ.setdefault(variable, "sk-drill")
    return Bot(call, drill.folder / "writer.log", drill.folder)


def _wait(store: Store, close: int, wanted: int, writer: Bot, timeout: float = 150.0) -> None:
    """Wait until every question of a close has a record; the clock stands meanwhile."""
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline and writer.alive:
            rows = Ledger(store).rows() if store.exists() else []
            told = {(r.pair, r.provider) for r in rows if int(r.candle) == close}
            if len(told) >= wanted:
                return
            time.sleep(0.2)
    finally:
        store.close()
