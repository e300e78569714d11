"""The page: what it says of runs whose truth is known."""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from page_runs import HOUR, PAIRS, chain_learned, made_run, trade_on
from scipy import stats

from quorum.evidence import performance as perf
from quorum.evidence.bootstrap import Interval
from quorum.report.page.account import pair_correlation
from quorum.report.page.blocks import MINUS, UNKNOWN, Cell, duration, number, percent
from quorum.report.page.breakdown import breakdown_section
from quorum.report.page.cards import FIELDS, STEPS, cards_payload
from quorum.report.page.compose import charts, lay_out, render
from quorum.report.page.confidence import confidence_section, needed_rate
from quorum.report.page.heads import forward_returns, head_skills
from quorum.report.page.history import account_history
from quorum.report.page.inputs import (
    Ablation,
    Inputs,
    Panel,
    RandomEntries,
    Trials,
    Variant,
    Walk,
    Window,
)
from quorum.report.page.ledger import fees_of, grouped, read_ledger
from quorum.report.page.measures import measure
from quorum.report.page.run import PageSettings, entries_inside
from quorum.report.page.verdict import judge

SETTINGS = PageSettings(runs=200)


@pytest.fixture(scope="module")
def run():
    return made_run(300)


@pytest.fixture(scope="module")
def measures(run):
    return measure(run, SETTINGS)


# The account ----------------------------------------------------------------------------------


def test_the_account_ends_with_capital_and_all_profits(run):
    history = account_history(run)
    assert history.equity[-1] == pytest.approx(run.capital + sum(t.profit for t in run.trades))
    assert history.marked == 1.0


def test_an_open_position_counts_at_the_close_of_each_candle(run):
    candles = run.candles[PAIRS[0]]
    trade = trade_on(candles, PAIRS[0], 500, 10, -1, amount=20.0)
    history = account_history(replace(run, trades=(trade,)))
    at = int(np.searchsorted(history.time, candles.close_time[503]))
    paid = 0.0005 * 20.0 * trade.open_rate
    floating = -20.0 * (candles.close[503] - trade.open_rate) - paid
    assert history.equity[at] - run.capital == pytest.approx(floating)
    assert history.short[at] == pytest.approx(20.0 * candles.close[503])
    # Half of it went out half way.
    assert history.short[at + 4] == pytest.approx(10.0 * candles.close[507])
    assert history.open[at] == 1
    assert history.open[-1] == 0


def test_a_trade_without_candles_counts_when_it_closes_and_the_page_says_so(run):
    history = account_history(replace(run, candles={}))
    assert history.marked < 0.1
    assert history.equity[-1] == pytest.approx(run.capital + sum(t.profit for t in run.trades))
    assert "could be marked to the market" in text_of(
        lay_out(replace(run, candles={}), None, SETTINGS)
    )


def test_fees_are_what_prices_and_funding_do_not_explain(run):
    for trade in run.trades[:20]:
        paid = 0.0005 * sum(fill.price * fill.amount for fill in trade.fills)
        assert fees_of(trade) == pytest.approx(paid)
    unfinished = replace(run.trades[0], fills=run.trades[0].fills[:2])
    assert math.isnan(fees_of(unfinished))


def test_buying_and_holding_is_equal_parts_of_every_pair(run, measures):
    gains = [
        c.close[-1] / c.open[int(np.searchsorted(c.time, run.first))] for c in run.candles.values()
    ]
    assert measures.holding.total == pytest.approx(np.mean(gains) - 1, abs=0.02)
    assert measures.run.sharpe == float(perf.sharpe(measures.returns))


def test_pairs_correlate_as_numpy_says(run):
    day, mean = pair_correlation(run)
    assert len(day) == len(mean) > 30
    closes = [
        c.close[
            np.searchsorted(
                c.close_time,
                np.arange(run.first // 864e5, run.last // 864e5) * 864e5 + 864e5,
                side="right",
            )
            - 1
        ]
        for c in run.candles.values()
    ]
    returns = np.diff(np.log(closes), axis=1)
    expected = np.corrcoef(returns[:, -30:])[np.triu_indices(3, 1)].mean()
    assert mean[-1] == pytest.approx(expected)


# The verdict ----------------------------------------------------------------------------------


def verdict_of(run, inputs=None):
    return judge(run, measure(run, SETTINGS), inputs or Inputs(), SETTINGS)


def with_profits(run, profit):
    trades = tuple(
        replace(t, profit=profit(i), exit_reason="roi") for i, t in enumerate(run.trades)
    )
    return replace(run, trades=trades, candles={})


def test_random_trades_cannot_be_told_from_luck_or_lose_their_costs(run):
    assert verdict_of(run).headline in (
        "Cannot be told from luck.",
        "It loses money, and that is not bad luck.",
    )


def test_steady_losses_are_called_losses(run):
    rng = np.random.default_rng(0)
    found = verdict_of(with_profits(run, lambda i: -40.0 + rng.normal(0, 20)))
    assert found.headline == "It loses money, and that is not bad luck."
    assert found.tone == "bad"


def test_steady_gains_are_called_gains_unless_random_entries_or_trials_explain_them(run):
    rng = np.random.default_rng(0)
    good = with_profits(run, lambda i: 40.0 + rng.normal(0, 20))
    assert verdict_of(good).headline == "It earns money beyond what luck explains."
    samples = rng.normal(0, 1, 1000)
    alike = Inputs(random=RandomEntries("profit per trade", "R", 0.1, samples))
    assert "random entries" in verdict_of(good, alike).headline
    ahead = Inputs(random=RandomEntries("profit per trade", "R", 9.0, samples))
    assert verdict_of(good, ahead).tone == "good"
    assert "trials" in verdict_of(good, Inputs(trials=Trials(500, 0.3))).headline


@pytest.mark.parametrize("count", [0, 1, 7])
def test_few_trades_are_not_judged(run, count):
    few = replace(run, trades=run.trades[:count])
    found = verdict_of(few)
    assert ("nothing to judge" if count == 0 else "too few to judge") in found.headline
    assert found.tone == "weak"
    assert "<html" in render(lay_out(few, None, SETTINGS))


def test_every_number_of_the_verdict_is_that_of_the_run(run, measures):
    rows = {row[0].text: row[1].text for row in verdict_of(run).table.cells()}
    assert rows["profit"] == percent(measures.run.total, 2, sign=True)
    assert rows["Sharpe"] == number(measures.run.sharpe)
    won = np.mean([t.profit > 0 for t in run.trades])
    assert rows["trades won"] == percent(float(won))
    assert rows["fees, USDT"] == number(sum(fees_of(t) for t in run.trades))


def test_no_profit_hangs_on_five_trades_without_being_told(run):
    lucky = with_profits(run, lambda i: 5000.0 if i < 5 else -20.0)
    checks = {c.question: c for c in verdict_of(lucky).checks}
    assert checks["Does the profit survive without its 5 best trades?"].verdict == "no"


# Confidence, heads, sources ------------------------------------------------------------------


def test_bands_show_the_promise_beside_what_was_won(run, measures):
    section = confidence_section(measures, SETTINGS)
    bands = section.blocks[1]
    ledger = measures.ledger
    rows = dict(grouped(ledger, "band"))
    for row in bands.cells():
        chosen = rows[row[0].text]
        assert row[1].text == f"{len(chosen):,}"
        assert row[4].text == percent(float(ledger.won[chosen].mean()))
        interval = stats.binomtest(int(ledger.won[chosen].sum()), len(chosen)).proportion_ci(
            method="wilson"
        )
        assert row[3].text == "the band"
        assert (
            row[5].text == f"{number(100 * interval.low, 1)} to {number(100 * interval.high, 1)} %"
        )


def test_a_win_rate_is_needed_that_makes_up_for_the_losses():
    assert needed_rate(np.array([2.0, -1.0, -1.0])) == pytest.approx(1 / 3)
    assert math.isnan(needed_rate(np.array([1.0])))


def test_without_signals_the_page_says_what_it_does_not_know():
    page = lay_out(made_run(60, signalled=False), None, SETTINGS)
    assert "No signals are stored" in text_of(page)
    assert {s.anchor for s in page.sections} >= {"account", "confidence", "sources", "trades"}


def test_forward_returns_are_of_the_candles_ahead_and_unknown_at_the_end(run):
    candles = run.candles[PAIRS[0]]
    found = forward_returns(candles, candles.time, 24)
    assert found[10] == pytest.approx(math.log(candles.close[34] / candles.close[10]))
    assert np.isnan(found[-24:]).all()
    assert np.isnan(forward_returns(candles, candles.time - HOUR * 10_000, 24)).sum() > 0


def test_a_head_that_knows_the_future_shows_skill_and_one_that_guesses_none(run):
    from published import NAMES, published, table_of

    candles = run.candles[PAIRS[0]]
    n = len(candles)
    rng = np.random.default_rng(1)
    ahead = np.sign(forward_returns(candles, candles.time, 4))
    rows = [
        [(int(a) if np.isfinite(a) and a else 1, 0.8, 0.9), (int(rng.choice([-1, 1])), 0.8, 0.9)]
        + [None] * (len(NAMES) - 2)
        for a in ahead
    ]
    frame = published(rows)
    frame["date"] = np.array(candles.time, dtype="datetime64[ms]")
    seen = replace(run, tables={PAIRS[0]: table_of(frame)}, pairs=PAIRS[:1])
    skills = {s.name: s for s in head_skills(seen, SETTINGS)}
    assert set(skills) == {NAMES[0], NAMES[1], "quorum"}
    assert skills[NAMES[0]].hits[4].estimate == 1.0
    assert skills[NAMES[0]].skill[4].low > 0.5
    assert skills[NAMES[1]].skill[4].holds(0.0)
    assert skills[NAMES[1]].votes == n - 100


def test_groups_add_up_to_the_whole(run, measures):
    choice = breakdown_section(run, measures, SETTINGS).blocks[0]
    total = sum(t.profit for t in run.trades)
    for label, (table,) in choice.options:
        assert sum(int(row[1].text.replace(",", "")) for row in table.cells()) == 300, label
        profits = [float(r[-1].text.replace(",", "").replace(MINUS, "-")) for r in table.cells()]
        assert sum(profits) == pytest.approx(total, abs=0.2), label
    assert {label for label, _ in choice.options} >= {"pair", "regime", "band", "hour (UTC)"}


def test_refusals_are_counted_by_reason(run, measures):
    table = breakdown_section(run, measures, SETTINGS).blocks[-1]
    assert [row[0].text for row in table.cells()] == ["first target under min rr", "loss streak"]
    assert "71 %" in table.caption or "70.9" in table.caption or "71" in table.caption


# What others compute --------------------------------------------------------------------------


def inputs() -> Inputs:
    rng = np.random.default_rng(0)
    month = 30 * 86_400_000
    start = 1_700_000_000_000
    windows = [
        Window(
            start + i * month,
            start + (i + 3) * month,
            start + (i + 4) * month,
            {
                "tuned, Sharpe": Interval(0.1 * i - 0.1, math.nan, math.nan),
                "trades, R": Interval(0.1 * i, 0.1 * i - 0.2, 0.1 * i + 0.2),
            },
        )
        for i in range(6)
    ]
    whole = Variant("nothing", 300, 0.01, 0.02)
    return Inputs(
        random=RandomEntries("profit per trade", "R", 0.05, rng.normal(0, 0.1, 1000)),
        ablations=[
            Ablation("head", whole, [Variant("technical", 250, 0.005, 0.01, 900, -0.1, -0.05)]),
            Ablation("guard", whole, [Variant("day", 320, 0.02, 0.03)]),
        ],
        walks=[
            Walk("Tuning", windows, [Panel("Sharpe", ["tuned, Sharpe"]), Panel("R", ["trades, R"])])
        ],
        models=chain_learned(),
        trials=Trials(120, 0.4),
    )


def test_what_is_absent_hides_and_what_is_there_shows(run):
    plain = {s.anchor for s in lay_out(run, None, SETTINGS).sections}
    full = lay_out(run, inputs(), SETTINGS)
    assert {"walk", "models", "random"} & plain == set()
    assert {s.anchor for s in full.sections} >= plain | {"walk", "models", "random", "heads"}
    text = text_of(full)
    assert "technical is worth most" in text
    assert "R, median: trades +0.250 (above zero in 5 of 6)." in text
    assert "120 trials" in text


def test_the_place_among_random_runs_is_scipys_percentile(run):
    given = inputs()
    place = stats.percentileofscore(given.random.samples, given.random.actual)
    text = text_of(lay_out(run, given, SETTINGS))
    assert f"more than {number(place, 0)} % of them" in text


# The document ---------------------------------------------------------------------------------


def text_of(page) -> str:
    """Return what a reader of the page reads, scripts left out."""
    html = render(page, SETTINGS)
    body = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_the_page_needs_nothing_beside_it(run):
    html = render(lay_out(run, inputs(), SETTINGS), SETTINGS)
    outside = re.sub(r"<script type=\"text/plain\".*?</script>", "", html, flags=re.S)
    assert not re.findall(r"(?:src|href)=\"(?!#|data:)", outside)
    assert "http://" not in re.sub(r"<script.*?</script>", "", outside, flags=re.S)
    assert html.count("plotly.js v") == 1
    figures = json.loads(re.search(r'id="figures">(.*?)</script>', html, re.S).group(1))
    assert set(figures) == {c.name for c in charts(lay_out(run, inputs(), SETTINGS).sections)}


def test_every_chart_says_what_it_says(run):
    for chart in charts(lay_out(run, inputs(), SETTINGS).sections):
        assert len(chart.sentence) > 30
        assert chart.sentence.endswith(".")
        assert "nan" not in chart.sentence


def test_texts_of_the_run_cannot_become_markup(run):
    evil = '</script><img src=x onerror="boom">'
    trades = (replace(run.trades[0], exit_reason=evil), *run.trades[1:40])
    html = render(lay_out(replace(run, trades=trades).noting(evil), None, SETTINGS), SETTINGS)
    assert "<img src=x" not in html
    assert "&lt;/script&gt;&lt;img" in html


def test_candles_come_back_from_their_packing(run):
    packed = cards_payload(run, SETTINGS)
    pair = packed["pairs"][0]
    candles = run.candles[pair["name"]]
    steps = np.frombuffer(base64.b64decode(pair["data"]), "<u2").reshape(-1, 4)
    prices = np.exp(pair["low"] + pair["logStep"] * steps)
    minutes = np.concatenate([start + 60 * np.arange(count) for start, count in pair["runs"]])
    rows = np.searchsorted(candles.time, minutes * 60_000)
    assert steps.max() == STEPS
    assert prices[:, 0] == pytest.approx(candles.open[rows], rel=1e-5)
    assert prices[:, 2] == pytest.approx(candles.low[rows], rel=1e-5)
    entered = FIELDS.index("entered")
    wanted = [t[entered] for t in packed["trades"] if t[0] == 0]
    assert set(wanted) <= set(minutes.tolist())


def test_the_candles_of_another_market_do_not_hold_the_runs_prices(run):
    assert entries_inside(run, run.candles) == (300, 300)
    other = made_run(1, seed=99).candles
    inside, known = entries_inside(run, other)
    assert known == 300
    assert inside < 150


def test_the_ledger_is_of_closed_trades(run):
    open_trade = replace(run.trades[0], closed=None)
    assert len(read_ledger([open_trade, *run.trades[1:5]])) == 4


def test_numbers_are_written_for_readers():
    assert number(-1234.5) == f"{MINUS}1,234.50"
    assert number(-0.001, 2, sign=True) == "+0.00"
    assert number(math.nan) == UNKNOWN
    assert number(math.inf) == "∞"
    assert percent(0.1234, 1, sign=True) == "+12.3 %"
    assert duration(5.25) == "5.2 h"
    assert duration(480) == "20 days"
    assert Cell("x").tone == ""
