"""All features, nine heads and the consensus of one pair, warm, on one core.

As a script it answers with the times; :func:`figures` asks it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import smart_money
from data import BenchData, open_market
from figures import Figure, show
from processes import answer, call_script

from quorum.consensus import VoteTable, tally
from quorum.features import FAMILIES, Features, compute_features
from quorum.market import Market
from quorum.pipeline import evaluate
from quorum.settings import Settings

#: Five years of hours.
N_CANDLES = 43_800
LIMIT = 0.6
CONTEXT_LIMIT = 1.0
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
    context = Figure(
        "the same with everything else a signal reads",
        result["everything"],
        "s",
        CONTEXT_LIMIT,
        "context, plans of exits; what one pair costs a backtest before its first candle",
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
    return [main, context], details


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


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Time ours and the peer's on the same candles, in turns; medians in seconds."""
    data = BenchData.from_request(request)
    times: dict[str, list[float]] = {"all": [], "everything": []}
    parts: dict[str, dict[str, list[float]]] = {"family": {}, "head": {}}
    peers: list[dict[str, float | str]] = []
    n = 0
    for run in range(-WARM_UP, request["runs"]):
        # A new market each time: what one measurement has cached in it must not help the next.
        opened = [open_market(data, N_CANDLES) for _ in range(3)]
        n = len(opened[0][0])
        columns, everything = _columns(*opened[0]), _everything(*opened[1])
        if run < 0:
            continue
        times["all"].append(columns)
        times["everything"].append(everything)
        _parts(*opened[2], parts)
        peer = smart_money.run_once(opened[2][0].candles)
        if peer is not None:
            peers.append(peer)
    return {
        "candles": n,
        **{name: median(seconds) for name, seconds in times.items()},
        **{kind: {k: median(v) for k, v in named.items()} for kind, named in parts.items()},
        "peer": {k: _median([peer[k] for peer in peers]) for k in peers[0]} if peers else None,
        "peer_version": smart_money.package_version(),
    }


def _columns(market: Market, settings: Settings) -> float:
    """Time the features, the heads' votes and the consensus."""
    start = time.perf_counter()
    features = compute_features(market)
    votes = {head.name: head.vote(market, features) for head in settings.enabled_heads()}
    tally(VoteTable.from_votes(votes), settings.head_weights(), settings.consensus)
    return time.perf_counter() - start


def _everything(market: Market, settings: Settings) -> float:
    """Time all that the strategy computes of a market."""
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
        family.add(market, features, family.constants)
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
    answer(measure)
