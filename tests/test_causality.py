"""Causality: no column of the system ever rewrites what it said, and the certificate can fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from backtests import ROOT
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from markets import START, candle_frame, full_market, resample

from quorum import faults
from quorum.bot.host import load_config, load_market
from quorum.candles import candles_from_frame, clean
from quorum.features import FAMILIES, Family
from quorum.heads import HEADS
from quorum.market import Frames, Market, Published, Records, build_market
from quorum.pipeline import evaluate
from quorum.replay.link import records_files
from quorum.replay.synthetic import SyntheticSettings, make_market
from quorum.settings import Settings, load_settings
from quorum.verify import all_columns, as_live, certify, summary

HOUR = 3_600_000
#: A seed cannot be made smaller in a useful way: a failure is reported as it was found.
PHASES = [Phase.explicit, Phase.reuse, Phase.generate]


@pytest.fixture(autouse=True)
def _fresh_faults(monkeypatch):
    monkeypatch.setattr(faults, "_reported", set())


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory) -> tuple[Market, Settings]:
    """Return a synthetic pair with everything the generator writes, records included."""
    folder = tmp_path_factory.mktemp("causality") / "market"
    make_market(
        SyntheticSettings(
            bases=("BTC", "ETH", "SOL"), start=date(2023, 1, 1), end=date(2023, 7, 1)
        ),
        folder,
    )
    config = load_config([ROOT / "config.json"], datadir=folder)
    on = {"enabled": True}
    given_settings = load_settings(
        {
            "market": {"records": records_files(folder)},
            "playbooks": {"trend": on, "washout": on},
        }
    )
    return load_market(config, given_settings, "SOL/USDT:USDT"), given_settings


def records_of(rng: np.random.Generator, candles_ms: np.ndarray) -> Records:
    count = int(rng.integers(1, 200))
    known_at = np.sort(rng.integers(candles_ms[0] - 40 * 24 * HOUR, candles_ms[-1], count))
    sources = ("fear_greed", "news:desk", "social")
    return Records(
        known_at=known_at.astype(np.int64),
        columns={
            "score": rng.uniform(-1, 1, count),
            "weight": rng.uniform(0, 2, count),
            "source": rng.integers(0, len(sources), count),
        },
        labels={"source": sources},
    )


def derivatives_of(rng: np.random.Generator, candles_ms: np.ndarray) -> dict[str, Published]:
    out = {}
    for kind, low, high in (
        ("long_short_ratio", 0.5, 3.0),
        ("taker_buy_share", 0.3, 0.7),
        ("exchange_reserves", 1e5, 2e5),
        ("exchange_netflow", -1e3, 1e3),
        ("liquidations", -1e6, 1e6),
    ):
        if rng.random() < 0.6:
            known_at = np.unique(rng.integers(candles_ms[0] - 48 * HOUR, candles_ms[-1], 500))
            out[kind] = Published(known_at, rng.uniform(low, high, len(known_at)))
    return out


def defective(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Spoil candles the way feeds do: gaps, untraded, unpriced and still candles."""
    frame = frame.copy()
    n = len(frame)
    for _ in range(int(rng.integers(0, 4)) if n > 1 else 0):
        at, length = int(rng.integers(1, n)), int(rng.integers(1, 90))
        kind = rng.integers(0, 4)
        rows = slice(at, at + length - 1)
        if kind == 0:
            frame.loc[rows, "volume"] = 0.0
        elif kind == 1:
            frame.loc[rows, ["open", "high", "low", "close"]] = np.nan
        elif kind == 2:
            frame.loc[rows, ["open", "high", "low", "close"]] = frame["close"].iloc[at]
        else:
            frame = frame.drop(index=range(at, min(at + length, n - 1))).reset_index(drop=True)
            n = len(frame)
    return clean(frame, frame.attrs["timeframe"])


def random_market(seed: int, n: int, timeframe: str) -> Market:
    """Make a market with a random choice of defects and of optional sources."""
    rng = np.random.default_rng(seed)
    days = int(rng.integers(0, 120))
    start = START - pd.Timedelta(days=days)
    per_day = int(pd.Timedelta("1d") / pd.Timedelta(timeframe))
    history = candle_frame(n + days * per_day, seed=seed, timeframe=timeframe, start=start)
    raw = history.iloc[-n:].reset_index(drop=True)
    raw.attrs["timeframe"] = timeframe
    base = defective(raw, rng)
    close = base["close"].to_numpy()
    size = len(base)

    def near(scale: float) -> pd.DataFrame:
        return base.assign(close=close * (1 + scale * rng.standard_normal(size)))

    def maybe(make):
        return make() if rng.random() < 0.7 else None

    funding = pd.date_range(start, base["date"].iloc[-1], freq="8h")
    frames = Frames(
        base=base,
        higher={tf: resample(history, tf) for tf in ("4h", "1d") if rng.random() < 0.8},
        funding_rate=maybe(
            lambda: pd.DataFrame(
                {"date": funding, "funding_rate": 3e-4 * rng.standard_normal(len(funding))}
            )
        ),
        mark=maybe(lambda: near(3e-4)),
        index=maybe(lambda: near(3e-4)),
        premium_index=maybe(lambda: base.assign(close=3e-4 * rng.standard_normal(size))),
        open_interest=maybe(
            lambda: pd.DataFrame(
                {
                    "date": base["date"],
                    "open_interest_amount": 1e6
                    * np.exp(np.cumsum(0.01 * rng.standard_normal(size))),
                }
            )
        ),
        spot=maybe(lambda: near(1e-3)),
        context={
            name: candles_from_frame(candle_frame(n, seed=seed + i, timeframe=timeframe), timeframe)
            for i, name in enumerate(("BTC", "ETH"), start=1)
            if rng.random() < 0.7
        },
        universe={
            name: candles_from_frame(
                candle_frame(days + 200, seed=seed + i, timeframe="1d", start=start), "1d"
            )
            for i, name in enumerate(("BTC", "ETH", "BNB", "SOL", "XRP", "ADA"), start=3)
            if rng.random() < 0.7
        },
    )
    market = build_market("SOL/USDT:USDT", timeframe, frames)
    sentiment = maybe(lambda: records_of(rng, candles_ms(base)))
    derivatives = maybe(lambda: derivatives_of(rng, candles_ms(base))) or {}
    delta = rng.standard_normal(size) * 100 if rng.random() < 0.3 else None
    return replace(
        market,
        published={**market.published, **derivatives},
        records={} if sentiment is None else {"sentiment": sentiment},
        taker_delta=delta,
    )


def candles_ms(frame: pd.DataFrame) -> np.ndarray:
    return candles_from_frame(frame, "1h").time


def test_the_synthetic_market_gets_a_clean_certificate(synthetic):
    market, configured = synthetic
    certificate = certify(market, configured, stretch=40, startup=1400, starts=6)
    assert certificate.prefixes == 40
    assert certificate.starts == 6
    assert certificate.rewritten == 0
    assert certificate.unsettled == {}
    assert certificate.clean
    assert not faults._reported
    # It spoke of every column, on every row.
    kinds = {group for group, *_ in summary(certificate)}
    assert {"feature", "signal", "context", "management", "playbook"} <= kinds
    assert {f"vote {head.name}" for head in HEADS} <= kinds
    assert all(report.compared > 40 * 1600 for report in certificate.columns.values())
    votes = evaluate(market, configured).votes
    speaking = {name for name, v in votes.items() if v.available[-1500:].any()}
    assert speaking == {head.name for head in HEADS[:9]}, "every head has its data"


@pytest.mark.parametrize("timeframe", ["5m", "15m", "1h", "4h"])
def test_every_base_timeframe_is_causal(timeframe):
    market = random_market(11, 900, timeframe)
    assert certify(market, Settings(), stretch=12).rewritten == 0
    assert not faults._reported


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 1300),
    timeframe=st.sampled_from(["15m", "1h", "4h"]),
    cuts=st.lists(st.floats(0, 1), min_size=2, max_size=4),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=PHASES,
)
def test_columns_of_any_prefix_are_those_of_the_whole_history(seed, n, timeframe, cuts):
    market = random_market(seed, n, timeframe)
    configured = Settings()
    full = all_columns(evaluate(market, configured), configured)
    for cut in cuts:
        rows = max(1, round(cut * len(market)))
        part = all_columns(evaluate(market.head(rows), configured), configured)
        assert part.keys() == full.keys()
        for name, values in part.items():
            np.testing.assert_array_equal(values, full[name][:rows], err_msg=name)
    assert not faults._reported, faults._reported


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 600))
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=PHASES,
)
def test_votes_of_any_market_have_the_form_of_the_specification(seed, n):
    result = evaluate(random_market(seed, n, "1h"), Settings())
    assert tuple(result.votes) == tuple(head.name for head in HEADS)
    for name, v in result.votes.items():
        flat = v.direction == 0
        assert np.isin(v.direction, (-1, 0, 1)).all(), name
        assert ((v.probability >= 0) & (v.probability <= 1)).all(), name
        assert ((v.confidence >= 0) & (v.confidence <= 1)).all(), name
        assert (v.probability[flat] == 0.5).all(), name
        assert (v.confidence[flat] == 0).all(), name
        assert (v.reason[flat] == 0).all(), name
        valid = (v.probability >= 0.6) & (v.confidence >= 0.7)
        assert (v.reason[valid] > 0).all(), name
        assert flat[~v.available].all(), name
    assert not faults._reported, faults._reported


def with_family(monkeypatch, add) -> None:
    monkeypatch.setitem(FAMILIES, "volatility", Family(add, FAMILIES["volatility"].constants))


def small() -> Market:
    return random_market(5, 700, "1h")


def test_the_certificate_catches_a_feature_that_looks_ahead(monkeypatch):
    original = FAMILIES["volatility"].add

    def add(market, out, configured):
        original(market, out, configured)
        out.add("next_close", np.append(market.candles.close[1:], np.nan))

    with_family(monkeypatch, add)
    certificate = certify(small(), Settings(), stretch=5)
    assert not certificate.clean
    # In each prefix the last row did not know yet what the next would be.
    assert certificate.columns["feature next_close"].rewritten == 5
    assert certificate.rewritten == 5


def test_the_certificate_catches_a_head_that_repaints(monkeypatch):
    head = HEADS[0]
    vote = head.vote

    def repainting(self, market, features):
        votes = vote(self, market, features)
        # Zigzag: the last top becomes one only because later candles stay below it.
        votes.readings["top"] = (market.candles.high == market.candles.high.max()).astype(float)
        votes.confidence[:] = np.round(market.candles.close / market.candles.close.max(), 4)
        return votes

    monkeypatch.setattr(head, "vote", repainting)
    rising = candle_frame(700, seed=2)
    rising["close"] = rising["open"] = np.linspace(100, 200, 700)
    rising["high"], rising["low"] = rising["close"] + 1, rising["close"] - 1
    market = build_market("SOL/USDT:USDT", "1h", Frames(rising))
    certificate = certify(market, Settings(), stretch=5)
    assert not certificate.clean
    assert certificate.columns[f"reading {head.name} top"].rewritten == 5
    assert certificate.columns[f"vote {head.name} confidence"].rewritten > 500


def test_the_certificate_catches_a_column_that_exists_only_for_some_histories(monkeypatch):
    original = FAMILIES["volatility"].add

    def add(market, out, configured):
        original(market, out, configured)
        if len(market) % 2:
            out.add("odd", np.ones(len(market)))

    with_family(monkeypatch, add)
    market = small()
    certificate = certify(market, Settings(), stretch=4)
    assert certificate.columns["feature odd"].rewritten > 2 * 600


def test_the_certificate_catches_a_column_that_remembers_where_the_history_began(monkeypatch):
    original = FAMILIES["volatility"].add

    def add(market, out, configured):
        original(market, out, configured)
        out.add("age", np.arange(len(market), dtype=float))

    with_family(monkeypatch, add)
    certificate = certify(small(), Settings(), stretch=5, startup=300, starts=2)
    assert certificate.rewritten == 0
    assert certificate.starts == 2
    assert certificate.unsettled["feature age"] > 0.1
    assert not certificate.clean


def test_the_certificate_catches_a_column_that_needs_more_history_than_a_bot_has(monkeypatch):
    original = FAMILIES["volatility"].add

    def add(market, out, configured):
        original(market, out, configured)
        four = market.higher["4h"]
        out.add("lowest_ever", four.align(np.minimum.accumulate(four.candles.low)))
        rate = market.published["funding_rate"]
        out.add(
            "fundings", Published(rate.known_at, rate.value.cumsum()).align(market.close_time, 1e12)
        )

    with_family(monkeypatch, add)
    market = full_market(900)
    certificate = certify(market, Settings(), stretch=5, startup=300, starts=2)
    assert certificate.rewritten == 0
    assert set(certificate.unsettled) >= {"feature lowest_ever", "feature fundings"}


def test_a_bot_has_the_last_candles_of_every_timeframe_and_what_came_since():
    market = full_market(900)
    late = as_live(market, 300)
    assert len(late) == 300
    np.testing.assert_array_equal(late.candles.close, market.candles.close[-300:])
    for timeframe, series in late.higher.items():
        assert len(series.candles) == min(
            len(market.higher[timeframe].candles), 300 if timeframe != "1w" else 300 // 7
        )
        np.testing.assert_array_equal(
            series.align(series.candles.close),
            market.higher[timeframe].align(market.higher[timeframe].candles.close)[-300:],
        )
    assert all(p.known_at[0] >= late.candles.time[0] for p in late.published.values())
    assert late.funding_rate[-1] == market.funding_rate[-1]


def test_votes_and_signals_may_remember_nothing_of_the_start(monkeypatch):
    head = HEADS[0]
    vote = head.vote

    def ageing(self, market, features):
        votes = vote(self, market, features)
        votes.probability[:] = np.round(0.5 + 1e-6 * len(market), 6)
        return votes

    monkeypatch.setattr(head, "vote", ageing)
    certificate = certify(small(), Settings(), stretch=3, startup=400, starts=1)
    assert f"vote {head.name} probability" in certificate.unsettled


def test_progress_is_told_to_the_end():
    told: list[tuple[int, int]] = []
    certify(
        small(), Settings(), stretch=4, startup=300, starts=3, on_step=lambda *s: told.append(s)
    )
    assert told == [(i, 7) for i in range(1, 8)]


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_short_history_can_be_certified(n):
    certificate = certify(random_market(3, 100, "1h").head(n), Settings(), startup=1400)
    assert certificate.prefixes == n - 1
    assert certificate.starts == 0
    assert certificate.rewritten == 0


@pytest.mark.parametrize("timeframe", ["15m", "1h", "4h"])
def test_no_part_fails_on_the_first_candles_of_a_new_pair(timeframe):
    base = candle_frame(40, timeframe=timeframe)
    higher = {tf: resample(base, tf) for tf in ("4h", "1d")}
    market = build_market("NEW/USDT:USDT", timeframe, Frames(base, higher))
    for n in range(1, len(market) + 1):
        result = evaluate(market.head(n), Settings())
        assert not all_columns(result, Settings())["signal entry"].any()
        assert not faults._reported, f"{n} candles: {faults._reported}"
