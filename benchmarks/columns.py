"""All features, nine heads and the consensus of one pair, warm, on one core.

As a script it answers with the times; :func:`figures` asks it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import smart_money
from data import BenchData, open_market
from figures import Figure, show
from processes import answer, call_script

from quorum.consensus import VoteTable, tally
from quorum.features import FAMILIES, Features
from quorum.market import Market
from quorum.pipeline import evaluate
from quorum.settings import Settings

#: Five years of hours.
N_CANDLES = 43_800
LIMIT = 0.6
#: Runs before those that count: the first reads the kernels from numba's cache.
WARM_UP = 2


def figures(
    data: BenchData, runs: int, tell: Callable[[str], None]
) -> tuple[list[Figure], list[Figure]]:
    """Measure; return the figure of the table and the details per family, head and function."""
    tell(f"features, heads and consensus on {N_CANDLES:,} candles")
    result = call_script("columns.py", data.as_request(runs=runs))
    main = Figure(
        f"features, nine heads, consensus: {result['candles']:,} 1h candles, one core",
        result["all"],
        "s",
        LIMIT,
        _beside_peer(result),
    )
    details = [
        Figure(f"  {kind} {name}", 1000 * seconds, "ms")
        for kind in ("family", "head")
        for name, seconds in result[kind].items()
    ]
    details += [
        Figure(f"  smartmoneyconcepts: {name}", 1000 * seconds, "ms")
        for name, seconds in (result["peer"] or {}).items()
        if not isinstance(seconds, str)
    ]
    return [main], details


def _beside_peer(result: dict[str, Any]) -> str:
    peer = result["peer"]
    if peer is None:
        return f"{smart_money.PACKAGE} is not installed"
    ran = {name: seconds for name, seconds in peer.items() if not isinstance(seconds, str)}
    total = sum(ran.values())
    text = (
        f"{smart_money.PACKAGE} {result['peer_version']}: {show(total, 's')} for its part of one "
        f"head ({', '.join(ran)}), {total / result['all']:.0f} times as long"
    )
    failed = [f"{name} ({error})" for name, error in peer.items() if isinstance(error, str)]
    return text + (f"; failed: {', '.join(failed)}" if failed else "")


def measure(data: BenchData, runs: int) -> dict[str, Any]:
    """Time ours and the peer's on the same candles, in turns; medians in seconds."""
    ours: list[float] = []
    parts: dict[str, dict[str, list[float]]] = {"family": {}, "head": {}}
    peers: list[dict[str, float | str]] = []
    for run in range(-WARM_UP, runs):
        # A new market each time: what one run has cached in it must not help the next.
        market, settings = open_market(data, N_CANDLES)
        seconds = _everything(market, settings)
        if run < 0:
            continue
        ours.append(seconds)
        market, settings = open_market(data, N_CANDLES)
        _parts(market, settings, parts)
        peer = smart_money.run_once(market.candles)
        if peer is not None:
            peers.append(peer)
    return {
        "candles": len(market),
        "all": median(ours),
        **{kind: {k: median(v) for k, v in times.items()} for kind, times in parts.items()},
        "peer": {name: _median([peer[name] for peer in peers]) for name in peers[0]}
        if peers
        else None,
        "peer_version": smart_money.package_version(),
    }


def _everything(market: Market, settings: Settings) -> float:
    """Time what stands between a market and its consensus."""
    start = time.perf_counter()
    votes = evaluate(market, settings).votes
    tally(VoteTable.from_votes(votes), settings.head_weights(), settings.consensus)
    return time.perf_counter() - start


def _parts(market: Market, settings: Settings, parts: dict[str, dict[str, list[float]]]) -> None:
    """Time every feature family and every head by itself."""
    features = Features(len(market))
    for name, family in FAMILIES.items():
        features.begin(name)
        start = time.perf_counter()
        family.add(market, features, getattr(settings.features, name))
        parts["family"].setdefault(name, []).append(time.perf_counter() - start)
    for head in settings.enabled_heads():
        start = time.perf_counter()
        head.vote(market, features)
        parts["head"].setdefault(head.name, []).append(time.perf_counter() - start)


def _median(times: list[float | str]) -> float | str:
    """Return the median time, or the error where there was one."""
    errors = [t for t in times if isinstance(t, str)]
    return errors[0] if errors else median(t for t in times if not isinstance(t, str))


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    answer(measure(BenchData.from_request(asked), asked["runs"]))
