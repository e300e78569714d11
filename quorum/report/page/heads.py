"""Heads: are the votes of each right, and what would the quorum be without it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quorum.candles import Candles
from quorum.consensus import GRACE
from quorum.evidence.bootstrap import Interval
from quorum.evidence.forecasts import information_coefficient, overlapping_mean
from quorum.report.page.blocks import (
    Block,
    Cell,
    Chart,
    Section,
    Table,
    Text,
    counted,
    number,
    percent,
    span,
    tone,
    tone_of,
)
from quorum.report.page.figures import points_figure
from quorum.report.page.inputs import Ablation
from quorum.report.page.measures import Measures
from quorum.report.page.outcomes import outcome
from quorum.report.page.run import PageSettings, Run
from quorum.typing import Bools, Floats, Ints

#: The row that stands for all heads together.
QUORUM = "quorum"


@dataclass(frozen=True)
class HeadSkill:
    """What one head's votes were worth on every candle of the run.

    Attributes
    ----------
    coverage : float
        Share of the candles with a valid vote.
    votes : int
        Valid votes.
    hits, skill : mapping of horizon to Interval
        Share of valid votes that were right; rank correlation of all votes with the forward
        return.
    """

    name: str
    coverage: float
    votes: int
    hits: Mapping[int, Interval]
    skill: Mapping[int, Interval]


@dataclass(frozen=True)
class _Candles:
    """Votes and forward returns of all pairs under each other."""

    step: Ints
    forward: Mapping[int, Floats]


def forward_returns(candles: Candles, time: Ints, horizon: int) -> Floats:
    """Return the log return over ``horizon`` candles after each time, NaN where one is missing.

    Parameters
    ----------
    candles : Candles
    time : ndarray of shape (n,), int64
        Opening times of candles.
    horizon : int
        Candles.
    """
    now, then = (np.searchsorted(candles.time, t) for t in (time, time + horizon * candles.step))
    n = len(candles)
    last = np.minimum(then, n - 1)
    known = (then < n) & (candles.time[last] == time + horizon * candles.step)
    gone = np.log(candles.close[last] / candles.close[np.minimum(now, n - 1)])
    return np.where(known, gone, np.nan)


def head_skills(run: Run, settings: PageSettings) -> list[HeadSkill]:
    """Measure every head, and the consensus of all, on every candle of the span."""
    spans = {}
    for pair, table in run.tables.items():
        lo, hi = np.searchsorted(table.time, [run.first, run.last + 1])
        if hi > lo and pair in run.candles:
            spans[pair] = slice(int(lo), int(hi))
    if not spans:
        return []
    first = min(int(run.tables[pair].time[rows.start]) for pair, rows in spans.items())
    step = next(iter(run.candles.values())).step
    candles = _Candles(
        np.concatenate([(run.tables[p].time[r] - first) // step for p, r in spans.items()]),
        {
            h: np.concatenate(
                [
                    forward_returns(run.candles[p], run.tables[p].time[r], h)
                    for p, r in spans.items()
                ]
            )
            for h in settings.horizons
        },
    )
    c = run.settings.consensus
    heads = next(iter(run.tables.values())).votes.heads
    found = []
    for h, name in enumerate(heads):
        votes = [(run.tables[p].votes, r) for p, r in spans.items()]
        direction = np.concatenate([v.direction[r, h] for v, r in votes]).astype(np.float64)
        probability = np.concatenate([v.probability[r, h] for v, r in votes])
        confidence = np.concatenate([v.confidence[r, h] for v, r in votes])
        available = np.concatenate([v.available[r, h] for v, r in votes])
        valid = (
            (direction != 0)
            & (probability >= c.min_probability - GRACE)
            & (confidence >= c.min_confidence - GRACE)
        )
        if not available.any():
            continue
        score = np.where(available, direction * (2.0 * probability - 1.0), np.nan)
        found.append(_skill(name, direction, score, valid, candles, settings))
    return [*found, _of_consensus(run, spans, candles, settings)]


def _of_consensus(
    run: Run, spans: Mapping[str, slice], candles: _Candles, settings: PageSettings
) -> HeadSkill:
    tables = [(run.tables[pair], rows) for pair, rows in spans.items()]
    direction = np.concatenate([t.consensus.direction[r] for t, r in tables]).astype(np.float64)
    score = direction * np.concatenate([t.consensus.confidence[r] for t, r in tables])
    return _skill(QUORUM, direction, score, direction != 0, candles, settings)


def _skill(
    name: str, direction: Floats, score: Floats, valid: Bools, c: _Candles, settings: PageSettings
) -> HeadSkill:
    hits, skill = {}, {}
    few = int(valid.sum()) < settings.min_votes
    for horizon, forward in c.forward.items():
        if few:
            hits[horizon] = skill[horizon] = Interval(math.nan, math.nan, math.nan)
            continue
        right = np.where(np.isfinite(forward) & (forward != 0), direction * forward > 0, np.nan)
        hits[horizon] = overlapping_mean(
            right[valid].astype(np.float64), c.step[valid], horizon, settings.level
        )
        skill[horizon] = information_coefficient(score, forward, c.step, horizon, settings.level)
    return HeadSkill(name, float(np.mean(valid)), int(valid.sum()), hits, skill)


def heads_section(
    run: Run, m: Measures, ablations: Sequence[Ablation], settings: PageSettings
) -> Section | None:
    """Show what each head's votes were worth; None without votes of candles or trades."""
    skills = head_skills(run, settings)
    blocks: list[Block] = []
    if skills:
        blocks += _of_candles(skills, settings)
    else:
        blocks.append(
            Text("Without candles of this run the votes of its heads are not known.", "note")
        )
    agreed = _of_trades(m, settings)
    if agreed is not None:
        blocks.append(agreed)
    blocks += [ablation_block(ablation) for ablation in ablations if ablation.variants]
    return Section("heads", "Which heads help, which hurt?", blocks) if len(blocks) > 1 else None


def _of_candles(skills: Sequence[HeadSkill], settings: PageSettings) -> list[Block]:
    names = [skill.name for skill in skills]
    panels = []
    for horizon in settings.horizons:
        found = [skill.skill[horizon] for skill in skills]
        panels.append(
            (
                f"{horizon} candles",
                np.array([i.estimate for i in found]),
                np.array([i.low for i in found]),
                np.array([i.high for i in found]),
            )
        )
    chart = points_figure(panels, names)
    return [
        Chart("skill", chart, _in_words(skills, settings), 60 + 30 * len(names)),
        _skill_table(skills, settings),
    ]


def _in_words(skills: Sequence[HeadSkill], settings: PageSettings) -> str:
    """Say which heads are right or wrong more often than luck explains."""
    middle = settings.horizons[len(settings.horizons) // 2]
    heads = [skill for skill in skills if skill.name != QUORUM]
    voting = [s for s in heads if s.votes >= settings.min_votes]
    silent = [s for s in heads if s.votes < settings.min_votes]
    clear = [s for s in voting if s.skill[middle].low > 0]
    wrong = [s for s in voting if s.skill[middle].high < 0]
    lucky = len(voting) * (1.0 - settings.level)
    sentence = (
        f"Rank correlation of votes with the return {middle} candles ahead: "
        f"{_list(clear) or 'no head is'} right more often than luck explains, "
        f"{_list(wrong) or 'no head is'} wrong more often; grey intervals include zero. Of "
        f"{counted(len(voting), 'worthless head')} about {number(lucky, 1)} would stand out."
    )
    if silent:
        sentence += f" {_list(silent).capitalize()} too seldom sure enough for a valid vote."
    return sentence


def _skill_table(skills: Sequence[HeadSkill], settings: PageSettings) -> Table:
    headings = [("head", ""), ("valid votes", ""), ("of candles", "")]
    headings += [(f"right, {h}", "%") for h in settings.horizons]
    headings += [(f"IC {h}", "") for h in settings.horizons]
    rows: list[Sequence[Cell | str]] = [
        [
            s.name,
            f"{s.votes:,}",
            percent(s.coverage),
            *(_hit(s.hits[h]) for h in settings.horizons),
            *(
                Cell(number(s.skill[h].estimate, 3, sign=True), tone_of(s.skill[h]))
                for h in settings.horizons
            ),
        ]
        for s in skills
    ]
    caption = (
        "Valid votes on every candle of every pair, whether traded or not. Intervals count "
        "overlapping returns and pairs that move together once. IC: rank correlation of the "
        "signed probability with the return (of the confidence for the quorum)."
    )
    return Table(headings, rows, caption)


def _list(skills: Sequence[HeadSkill]) -> str:
    names = [skill.name for skill in skills]
    joined = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
    return f"{joined} {'are' if len(names) > 1 else 'is'}" if names else ""


def _hit(interval: Interval) -> Cell:
    if math.isnan(interval.estimate):
        return Cell(number(math.nan))
    half = (interval.high - interval.low) / 2
    around = "" if math.isnan(half) else f" ± {number(100 * half, 1)}"
    return Cell(f"{number(100 * interval.estimate, 1)}{around}", tone_of(interval, 0.5))


def _of_trades(m: Measures, settings: PageSettings) -> Table | None:
    """Tabulate how often each head agreed with the trades, and how those fared."""
    signals = [trade.signal for trade in m.ledger.trades]
    names = list(dict.fromkeys(name for s in signals if s is not None for name in s.votes))
    if not names:
        return None
    known = np.array([s is not None for s in signals])
    rows: list[Sequence[Cell | str]] = []
    for name in names:
        stance = np.array(
            [
                0 if s is None or name not in s.votes else s.votes[name].direction * s.direction
                for s in signals
            ]
        )
        agreed, against = known & (stance > 0), known & (stance < 0)
        rest = known & (stance <= 0)
        yes, no = (
            outcome(m.ledger.multiple[agreed], settings),
            outcome(m.ledger.multiple[rest], settings),
        )
        rows.append(
            [
                name,
                percent(float(agreed.sum() / known.sum()), 0),
                percent(float(against.sum() / known.sum()), 0),
                Cell(number(yes.estimate, 3, sign=True), tone_of(yes)),
                span(yes, 2, sign=True),
                Cell(number(no.estimate, 3, sign=True), tone_of(no)),
                span(no, 2, sign=True),
            ]
        )
    headings = [
        ("head", ""), ("agreed", ""), ("was against", ""), ("mean when it agreed", "R"),
        ("interval", "R"), ("mean when it did not", "R"), ("interval", "R"),
    ]  # fmt: skip
    caption = (
        "Of the trades: how often the head voted for the side taken or against it, and what "
        "trades with and without its agreement made."
    )
    return Table(headings, rows, caption)


def ablation_block(a: Ablation) -> Table:
    """Tabulate what is left without each part, and what each makes alone."""
    alone = any(v.alone_trades for v in a.variants)
    headings = [(f"without {a.title}", ""), ("trades", ""), ("profit", ""), ("it added", "")]
    headings += [("mean", "R")]
    headings += [("alone: trades", ""), ("profit", ""), ("mean", "R")] if alone else []
    rows: list[Sequence[Cell | str]] = [
        [
            "nothing",
            f"{a.whole.trades:,}",
            percent(a.whole.profit, 2, sign=True),
            "",
            number(a.whole.multiple, 3, sign=True),
            *([""] * (3 if alone else 0)),
        ]
    ]
    ranked = sorted(a.variants, key=lambda v: v.profit)
    for v in ranked:
        worth = a.whole.profit - v.profit
        row: list[Cell | str] = [
            v.name,
            f"{v.trades:,}",
            percent(v.profit, 2, sign=True),
            Cell(percent(worth, 2, sign=True), tone(worth)),
            number(v.multiple, 3, sign=True),
        ]
        if alone:
            row += [
                f"{v.alone_trades:,}",
                percent(v.alone_profit, 2, sign=True),
                number(v.alone_multiple, 3, sign=True),
            ]
        rows.append(row)
    best, worst = ranked[0], ranked[-1]
    caption = (
        f"Simulated without each in turn: {best.name} is worth most "
        f"({percent(a.whole.profit - best.profit, 2, sign=True)} of the capital), {worst.name} "
        f"least ({percent(a.whole.profit - worst.profit, 2, sign=True)}). {a.note}"
    )
    return Table(headings, rows, caption.strip())
