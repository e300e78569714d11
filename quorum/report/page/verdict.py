"""The verdict: what the run is worth in plain words, and why to trust it or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quorum.evidence.bootstrap import Interval, chance_of, percentile_of
from quorum.evidence.forecasts import auc, win_interval
from quorum.report.page.blocks import (
    Cell,
    Check,
    Table,
    counted,
    number,
    percent,
    span,
    tone,
    tone_of,
)
from quorum.report.page.inputs import Inputs, RandomEntries
from quorum.report.page.measures import Measures
from quorum.report.page.run import PageSettings, Run
from quorum.signals import BAND_RULE, MEASURED, META_MODEL

#: Trades whose absence a robust profit survives.
BEST = 5


@dataclass(frozen=True)
class Verdict:
    """What a run is worth.

    Attributes
    ----------
    headline : str
        A few words.
    tone : {"good", "bad", "weak"}
    sentences : tuple of str
        The same in plain words and numbers.
    checks : tuple of Check
    table : Table
    """

    headline: str
    tone: str
    sentences: tuple[str, ...]
    checks: tuple[Check, ...]
    table: Table


def judge(run: Run, m: Measures, inputs: Inputs, settings: PageSettings) -> Verdict:
    """Reach the verdict of a run."""
    headline, colour = _headline(m, inputs, settings)
    return Verdict(
        headline=headline,
        tone=colour,
        sentences=tuple(_sentences(run, m, inputs, settings)),
        checks=tuple(_checks(run, m, inputs, settings)),
        table=_table(run, m, inputs, settings),
    )


def _headline(m: Measures, inputs: Inputs, settings: PageSettings) -> tuple[str, str]:
    growth = m.intervals["cagr"]
    if len(m.ledger) == 0:
        return "No trade was closed: there is nothing to judge.", "weak"
    if len(m.ledger) < settings.min_trades or math.isnan(growth.low):
        return f"{counted(len(m.ledger), 'closed trade')}: too few to judge.", "weak"
    if growth.holds(0.0):
        return "Cannot be told from luck.", "weak"
    if growth.estimate < 0:
        return "It loses money, and that is not bad luck.", "bad"
    if m.conservative <= 0:
        return "It earns money only by fills that its candles do not prove.", "weak"
    chance = inputs.random
    if chance and percentile_of(chance.actual, chance.samples) < settings.beats_random:
        return "It earns money, but random entries with the same exits do as well.", "weak"
    if inputs.trials and inputs.trials.deflated < settings.deflated:
        return "It earns money, but no more than the best of so many trials would by luck.", "weak"
    return "It earns money beyond what luck explains.", "good"


def _sentences(run: Run, m: Measures, inputs: Inputs, settings: PageSettings) -> list[str]:
    days = len(m.returns)
    years = f"{number(days / 365, 1)} years" if days >= 365 else f"{days} days"
    made = "earned" if m.profit >= 0 else "lost"
    text = [
        f"{counted(len(m.ledger), 'closed trade')} on {counted(len(run.pairs), 'pair')} in {years} "
        f"{made} {number(abs(m.profit), 2)} {run.currency}, {percent(m.run.total, 2, sign=True)} "
        f"of the capital, after {number(m.costs, 2)} {run.currency} of costs."
    ]
    if m.at_once:
        text.append(
            f"Levels that filled in the candle of their entry brought {number(m.at_once, 2)} "
            f"{run.currency}: a candle does not tell which price came first. Without them it is "
            f"{number(m.conservative, 2, sign=True)} {run.currency}, and that is how it is judged."
        )
    growth = m.intervals["cagr"]
    if not math.isnan(growth.low):
        meaning = (
            "zero is inside, so the sign of the result is not known"
            if growth.holds(0.0)
            else "zero is outside"
        )
        text.append(
            f"With {percent(growth.level, 0)} confidence the yearly growth lies between "
            f"{percent(growth.low, 2, sign=True)} and {percent(growth.high, 2, sign=True)}: "
            f"{meaning}."
        )
    if m.holding is not None:
        text.append(
            f"Buying and holding the pairs in equal parts made "
            f"{percent(m.holding.total, 1, sign=True)} with a drawdown of "
            f"{percent(m.holding.max_drawdown)}; as calm as this run (the rest in cash) it made "
            f"{percent(m.held_as_calmly(), 2, sign=True)} a year against "
            f"{percent(m.run.cagr, 2, sign=True)}."
        )
    if inputs.random is not None:
        text.append(_against_random(inputs.random, settings))
    return text


def _against_random(chance: RandomEntries, settings: PageSettings) -> str:
    better = int(np.sum(chance.samples >= chance.actual))
    place = percentile_of(chance.actual, chance.samples)
    if place >= settings.beats_random:
        says = "the timing adds something"
    elif place <= 1.0 - settings.beats_random:
        says = "the timing is worse than chance"
    else:
        says = "the timing of the entries adds nothing that shows"
    return (
        f"Of {len(chance.samples):,} runs that entered at random times with the same exits, "
        f"{better:,} did at least as well: {says}."
    )


def _checks(run: Run, m: Measures, inputs: Inputs, settings: PageSettings) -> list[Check]:
    checks = [
        _enough(m, settings),
        _beyond_luck(m),
        _random(inputs, settings),
        _beats_holding(m),
        _confidence(m, settings),
        _promises(m, settings),
        _carried(run, m),
        _costs(run, m),
        _every_year(run, m),
        _searched(inputs, settings),
    ]
    return [check for check in checks if check is not None]


def _enough(m: Measures, settings: PageSettings) -> Check:
    enough = len(m.ledger) >= settings.min_trades and len(m.returns) >= settings.min_days
    return Check(
        "Is there enough to judge?",
        "yes" if enough else "no",
        f"{counted(len(m.ledger), 'closed trade')}, {counted(len(m.returns), 'day')}",
    )


def _sign(interval: Interval, neutral: float = 0.0) -> str:
    """Return the verdict of an interval against what is neutral."""
    if math.isnan(interval.low):
        return "unknown"
    if interval.holds(neutral):
        return "unclear"
    return "yes" if interval.estimate > neutral else "no"


def _beyond_luck(m: Measures) -> Check:
    r = m.intervals["multiple"]
    unit, digits = "R", 3
    if math.isnan(r.estimate):
        r, unit, digits = m.intervals["profit"], "per trade", 2
    answer = f"{number(r.estimate, digits, sign=True)} {unit} on average"
    if not math.isnan(r.low):
        answer += f", {span(r, digits, sign=True)}"
        answer += ": zero is inside" if r.holds(0.0) else ""
    return Check("Does a trade earn more than nothing?", _sign(r), answer)


def _random(inputs: Inputs, settings: PageSettings) -> Check:
    question = "Does it beat random entries with the same exits?"
    chance = inputs.random
    if chance is None:
        return Check(question, "unknown", "not simulated for this page")
    place = percentile_of(chance.actual, chance.samples)
    likely = chance_of(chance.actual, chance.samples)
    verdict = (
        "yes"
        if place >= settings.beats_random
        else "no"
        if place <= 1.0 - settings.beats_random
        else "unclear"
    )
    return Check(
        question,
        verdict,
        f"better than {percent(place, 0)} of {len(chance.samples):,} random runs; chance alone "
        f"does as well with a probability of {percent(likely)}",
    )


def _beats_holding(m: Measures) -> Check:
    question = "Is it a better deal than buying and holding?"
    if m.holding is None:
        return Check(question, "unknown", "no candles of the pairs are at hand")
    lead = m.sharpe_lead
    text = f"Sharpe {number(m.run.sharpe)} against {number(m.holding.sharpe)}"
    if not math.isnan(lead.low):
        text += f"; difference {span(lead, 2, sign=True)}"
    return Check(question, _sign(lead), text)


def _confidence(m: Measures, settings: PageSettings) -> Check:
    question = "Does more confidence mean more wins?"
    known = np.isfinite(m.ledger.confidence)
    found = auc(m.ledger.confidence[known], m.ledger.won[known], settings.level)
    if math.isnan(found.low):
        return Check(question, "unknown", "too few trades with a signal")
    return Check(
        question,
        _sign(found, 0.5),
        f"of a winner and a loser, the winner had more confidence in {percent(found.estimate)} "
        f"of the cases ({span(found, 1, share=True)}; 50 % is none)",
    )


def _promises(m: Measures, settings: PageSettings) -> Check:
    question = "Are the promised win rates kept?"
    ledger = m.ledger
    known = np.isfinite(ledger.promised)
    if not known.any():
        return Check(question, "unknown", "no signals are stored with the trades")
    said, kept = [], []
    for who in (META_MODEL, MEASURED, BAND_RULE):
        rows = known & ledger.promised_by(who)
        if rows.any():
            mean = float(np.mean(ledger.promised[rows]))
            won = win_interval(int(ledger.won[rows].sum()), int(rows.sum()), settings.level)
            kept.append(won.high >= mean)
            said.append(
                f"{who}: promised {percent(mean, 0)} on average, won {percent(won.estimate)} "
                f"({span(won, 1, share=True)})"
            )
    verdict = "yes" if all(kept) else "unclear" if any(kept) else "no"
    return Check(question, verdict, "; ".join(said))


def _carried(run: Run, m: Measures) -> Check | None:
    """Check whether a handful of trades carries the profit; only of a profit."""
    if m.profit <= 0 or len(m.ledger) <= BEST:
        return None
    best = np.sort(m.ledger.profit)[-BEST:]
    left = m.profit - float(best.sum())
    return Check(
        f"Does the profit survive without its {BEST} best trades?",
        "yes" if left > 0 else "no",
        f"without them {number(left, 2, sign=True)} {run.currency} of "
        f"{number(m.profit, 2, sign=True)}",
    )


def _costs(run: Run, m: Measures) -> Check | None:
    if len(m.ledger) == 0:
        return None
    before = float(np.sum(m.ledger.profit)) + m.costs
    if before <= 0:
        answer = f"even without costs it made {number(before, 2, sign=True)} {run.currency}"
    else:
        answer = (
            f"{number(before, 2)} {run.currency} before costs, of which costs took "
            f"{percent(m.costs / before, 0)}"
        )
    return Check(
        "Does enough remain after costs?", "yes" if before > 2 * m.costs and before > 0 else "no",
        answer,
    )  # fmt: skip


def _every_year(run: Run, m: Measures) -> Check | None:
    years = m.day.astype("datetime64[ms]").astype("datetime64[Y]").astype(int) + 1970
    if len(np.unique(years)) < 2:
        return None
    parts = {
        int(year): float(np.prod(1.0 + m.returns[years == year]) - 1.0) for year in np.unique(years)
    }
    good = sum(value > 0 for value in parts.values())
    said = ", ".join(f"{year} {percent(value, 1, sign=True)}" for year, value in parts.items())
    return Check(
        "Did it earn in every year?",
        "yes" if good == len(parts) else "no" if good == 0 else "unclear",
        said,
    )


def _searched(inputs: Inputs, settings: PageSettings) -> Check | None:
    if inputs.trials is None:
        return None
    return Check(
        "Does it stand after all that was tried?",
        "yes" if inputs.trials.deflated >= settings.deflated else "no",
        f"{counted(inputs.trials.count, 'trial')}; chance that the Sharpe ratio is real (deflated "
        f"Sharpe): {percent(inputs.trials.deflated)}",
    )


def _table(run: Run, m: Measures, inputs: Inputs, settings: PageSettings) -> Table:
    """Set the run beside its intervals and beside buying and holding."""
    i, r, h = m.intervals, m.run, m.holding
    rows: list[list[Cell | str]] = [
        ["profit", Cell(percent(r.total, 2, sign=True), tone_of(i["cagr"])), "",
         percent(h.total, 1, sign=True) if h else ""],
        ["profit without fills of a level in the entry candle",
         Cell(percent(m.conservative / run.capital, 2, sign=True), tone(m.conservative)),
         "", ""],
        ["growth per year", Cell(percent(r.cagr, 2, sign=True), tone_of(i["cagr"])),
         span(i["cagr"], 2, share=True, sign=True), percent(h.cagr, 1, sign=True) if h else ""],
        ["largest drawdown", percent(r.max_drawdown, 2), span(i["max_drawdown"], 2, share=True),
         percent(h.max_drawdown) if h else ""],
        ["volatility per year", percent(r.volatility, 2), span(i["volatility"], 2, share=True),
         percent(h.volatility) if h else ""],
        *(_ratio(name, m) for name in ("sharpe", "sortino", "calmar")),
        ["profit factor", Cell(number(i["profit_factor"].estimate),
         tone_of(i["profit_factor"], 1.0)), span(i["profit_factor"]), ""],
        ["trades won", percent(i["win_rate"].estimate), span(i["win_rate"], 1, share=True), ""],
        ["profit per trade, R", Cell(number(i["multiple"].estimate, 3, sign=True),
         tone_of(i["multiple"])), span(i["multiple"], 3, sign=True), ""],
        ["mean capital at work", percent(m.exposure, 2), "", percent(1.0, 0) if h else ""],
        ["time in the market", percent(m.in_market, 0), "", percent(1.0, 0) if h else ""],
        [f"fees, {run.currency}", number(m.fees), "", ""],
        [f"funding paid, {run.currency}", number(-m.funding), "", ""],
    ]  # fmt: skip
    if run.closed != run.trades:
        rows.append([f"open positions, {run.currency}", number(m.open_profit, sign=True), "", ""])
    headings = [
        ("", ""),
        ("this run", ""),
        (f"{percent(settings.level, 0)} interval", ""),
        ("buy and hold", ""),
    ]
    caption = (
        "Intervals are block bootstraps of the daily returns, and of the trades in their order; "
        "grey numbers cannot be told from nothing. Sharpe, Sortino and Calmar are of daily returns "
        "with open positions at their market value, per year of 365 days."
    )
    if h is None:
        headings, rows = headings[:3], [row[:3] for row in rows]
    return Table(headings, rows, caption)


def _ratio(name: str, m: Measures) -> list[Cell | str]:
    interval = m.intervals[name]
    return [
        name.capitalize(),
        Cell(number(interval.estimate), tone_of(interval)),
        span(interval, 2, sign=True),
        "" if m.holding is None else number(getattr(m.holding, name)),
    ]
