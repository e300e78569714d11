"""Metrics for Prometheus: what a snapshot says, at the moment it is asked for (spec U4).

Labels come from the whitelist, the registries and the reason codes; what exceeds
:data:`LABELS` values is summed up as ``other``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from quorum.candles import timeframe_ms
from quorum.dashboard.access import Access
from quorum.dashboard.pages.advisors import advisors_of
from quorum.dashboard.pages.health import health_of
from quorum.dashboard.pages.models import models_now
from quorum.dashboard.pages.portfolio import portfolio_of
from quorum.dashboard.render import source_of
from quorum.dashboard.snapshot import Snapshot
from quorum.extras import extra
from quorum.guards import State
from quorum.playbooks import PLAYBOOKS
from quorum.report.page.history import account_history

if TYPE_CHECKING:
    from prometheus_client import Metric

router = APIRouter(tags=["metrics"])
#: Values of a label at most.
LABELS = 60


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request) -> PlainTextResponse:
    """Return the metrics in the text format of Prometheus; needs the token."""
    with extra("dashboard"):
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.exposition import CONTENT_TYPE_LATEST

    snapshot = source_of(request).snapshot()
    access: Access = request.app.state.access

    class Now:
        def collect(self) -> Iterator[Metric]:
            yield from families(snapshot, access.refused)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Now())
    return PlainTextResponse(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def families(snapshot: Snapshot, refused_tokens: int = 0) -> Iterator[Metric]:
    """Yield every metric of a snapshot."""
    yield from _account(snapshot)
    yield from _guards(snapshot)
    yield from _candles(snapshot)
    yield from _decisions(snapshot)
    yield from _models(snapshot)
    yield from _advisors(snapshot)
    yield _gauge("live", "Whether it is read from a bot, not a backtest", float(snapshot.live))
    yield _counter("wrong_tokens", "Requests with a wrong token", {"": refused_tokens}, "")


def _gauge(name: str, text: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(f"quorum_{name}", text, value=value)


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"quorum_{name}", text, labels=[label])
    for key, value in list(values.items())[:LABELS]:
        family.add_metric([key], value)
    return family


def _counter(name: str, text: str, counts: Mapping[str, int], label: str) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    if not label:
        return CounterMetricFamily(f"quorum_{name}", text, value=sum(counts.values()))
    family = CounterMetricFamily(f"quorum_{name}", text, labels=[label])
    for key, count in bounded(counts).items():
        family.add_metric([key], count)
    return family


def bounded(counts: Mapping[str, int], most: int = LABELS) -> dict[str, int]:
    """Return counts under at most ``most`` names; the rarest are summed up as ``other``."""
    common = Counter(counts).most_common()
    kept = dict(common[: most - 1])
    rest = sum(count for _, count in common[most - 1 :])
    return {**kept, "other": rest} if rest else kept


def _account(snapshot: Snapshot) -> Iterator[Metric]:
    run = snapshot.run
    now = portfolio_of(run, account_history(run))
    yield _gauge("capital", "Money the account began with [quote currency]", now.capital)
    yield _gauge("equity", "Equity with floating profit [quote currency]", now.equity)
    yield _gauge("floating_profit", "Profit not realised [quote currency]", now.floating)
    yield _gauge("drawdown_ratio", "Loss from the highest equity [share]", now.drawdown)
    sides = {
        side: sum(p.value for p in now.positions if p.side == side) / now.equity
        for side in ("long", "short")
    }
    yield _gauges("exposure_ratio", "Value of open positions [share of equity]", "side", sides)
    named = dict.fromkeys(("consensus", *(playbook.name for playbook in PLAYBOOKS)), 0)
    trades = Counter(named) + Counter(p.playbook for p in now.positions)
    yield _gauges(
        "open_trades", "Open trades", "playbook", {k: trades[k] for k in {**named, **trades}}
    )
    won = sum(trade.profit > 0 for trade in run.closed)
    results = {"won": won, "lost": len(run.closed) - won}
    yield _counter("closed_trades", "Trades that have ended", results, "result")


def _guards(snapshot: Snapshot) -> Iterator[Metric]:
    stand = snapshot.guards
    if stand.ledger is not None:
        states = {state.value: float(stand.ledger.state is state) for state in State}
        yield _gauges("guard_state", "1 for the state the guards are in", "state", states)
    used = {f"{x.guard} {x.name}": x.used for x in stand.limits if x.used is not None}
    share = {
        f"{x.guard} {x.name}": x.used / x.limit
        for x in stand.limits if x.used is not None and x.limit > 0
    }  # fmt: skip
    limits = {f"{x.guard} {x.name}": x.limit for x in stand.limits}
    yield _gauges("limit", "Limit of a guard [its unit]", "limit", limits)
    yield _gauges("limit_used", "What is used of a limit [its unit]", "limit", used)
    yield _gauges("limit_used_ratio", "What is used of a limit [share]", "limit", share)


def _candles(snapshot: Snapshot) -> Iterator[Metric]:
    health, now = health_of(snapshot), snapshot.now().timestamp()
    step = timeframe_ms(snapshot.run.timeframe) / 1000
    ages = {
        p.pair: max(0.0, now - p.last_candle.timestamp() - step)
        for p in health.pairs if p.last_candle is not None
    }  # fmt: skip
    yield _gauge("timeframe_seconds", "Length of a candle [s]", step)
    yield _gauges("candle_age_seconds", "Since the last analysed candle closed [s]", "pair", ages)
    behind = {p.pair: float(p.behind_candles or 0) for p in health.pairs}
    yield _gauges("candles_behind", "Candles behind the newest pair", "pair", behind)
    lags = {p.pair: p.lag_seconds for p in health.pairs if p.lag_seconds is not None}
    yield _gauges(
        "analysis_lag_seconds",
        "From the close of the last candle to its analysis [s]",
        "pair",
        lags,
    )
    yield _counter("faults", "Parts that failed", snapshot.failed, "part")


def _decisions(snapshot: Snapshot) -> Iterator[Metric]:
    latest = snapshot.latest()
    heads = dict.fromkeys((vote.head for d in latest for vote in d.votes), 0)
    valid = Counter(heads) + Counter(v.head for d in latest for v in d.votes if v.valid)
    yield _gauges(
        "valid_votes", "Pairs on which a head casts a valid vote", "head",
        {head: valid[head] for head in heads},
    )  # fmt: skip
    signals = sum(d.signal is not None for d in latest)
    yield _gauge("signals", "Pairs whose last candle gives a signal", signals)
    accepted = snapshot.answered.get("accepted", 0)
    refused = {told: n for told, n in snapshot.answered.items() if told != "accepted"}
    yield _counter("entries_accepted", "Entries the bot accepted", {"": accepted}, "")
    yield _counter("entries_refused", "Entries the bot refused, by reason", refused, "reason")


def _models(snapshot: Snapshot) -> Iterator[Metric]:
    now = models_now(snapshot.models, snapshot.at)
    yield _gauge("model_snapshots", "Snapshots of the models in use", now.snapshots)
    if now.trained_on is not None:
        age = (snapshot.at - now.trained_on).total_seconds()
        yield _gauge("model_age_seconds", "Since the last candle the live models learned from", age)
    if now.drifted_features is not None:
        yield _gauge("model_drift_ratio", "Features that drifted [share]", now.drifted_features)


def _advisors(snapshot: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    found = advisors_of(snapshot)
    calls = CounterMetricFamily(
        "quorum_advisor_calls", "Questions to advisors", labels=["provider", "status"]
    )
    cost = CounterMetricFamily(
        "quorum_advisor_cost_usd", "Cost of advisors [US dollars]", labels=["provider"]
    )
    asked: Counter[tuple[str, str]] = Counter()
    spent: Counter[str] = Counter()
    for advisor in found.advisors:
        asked += Counter({(advisor.provider, "answered"): advisor.answered})
        asked += Counter({(advisor.provider, name): n for name, n in advisor.failures.items()})
        spent[advisor.provider] += advisor.cost  # type: ignore[assignment]
    for (provider, status), count in asked.most_common(LABELS):
        calls.add_metric([provider, status], count)
    for provider, dollars in spent.most_common(LABELS):
        cost.add_metric([provider], dollars)
    yield calls
    yield cost
    if found.cost_per_day:
        used = found.cost_today / found.cost_per_day
        yield _gauge("advisor_budget_used_ratio", "Of the day's money for advisors [share]", used)
