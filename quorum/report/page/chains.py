"""What was simulated and tuned: random entries and walks forward. Hidden while absent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from quorum.evidence.bootstrap import Interval, percentile_of
from quorum.report.page.blocks import (
    Block,
    Cell,
    Chart,
    Points,
    Section,
    Table,
    counted,
    date,
    number,
    percent,
    tone_of,
)
from quorum.report.page.figures import (
    FOURTH,
    RUN,
    THIRD,
    histogram_figure,
    series_name,
    windows_figure,
    windows_heights,
)
from quorum.report.page.inputs import Inputs, RandomEntries, Walk


def random_blocks(chance: RandomEntries) -> list[Block]:
    """Show where the run stands among runs with random entries."""
    known = chance.samples[np.isfinite(chance.samples)]
    if len(known) < 2:
        return []
    edges = np.histogram_bin_edges(np.append(known, chance.actual), 40)
    place = percentile_of(chance.actual, known)
    low, high = np.quantile(known, (0.05, 0.95))
    sentence = (
        f"{counted(len(known), 'run')} with the same number of entries per pair and side at random "
        f"times and the same exits: nine of ten made between {number(float(low), 3, sign=True)} "
        f"and {number(float(high), 3, sign=True)} {chance.unit}; the run, simulated likewise, made "
        f"{number(chance.actual, 3, sign=True)} {chance.unit}, more than {percent(place, 0)} of "
        f"them. {chance.note}"
    )
    figure = histogram_figure(
        edges, np.histogram(known, edges)[0], [(chance.actual, "this run")],
        f"{chance.measure} [{chance.unit}]", "random runs", neutral=True,
    )  # fmt: skip
    return [Chart("random", figure, sentence.strip(), 260)]


def walk_section(inputs: Inputs) -> Section | None:
    """Show every walk forward; None without any."""
    blocks: list[Block] = []
    for i, walk in enumerate(inputs.walks):
        if walk.windows:
            blocks += _walk(walk, i)
    return Section("walk", "Walk forward", blocks) if blocks else None


def _walk(walk: Walk, place: int) -> list[Block]:
    spans = [(w.train_start, w.test_start, w.test_end) for w in walk.windows]
    sentence = (
        f"{walk.title}: {counted(len(spans), 'window')}, each trained on the grey span and "
        f"tested on the blue one after it, {date(spans[0][1])} to {date(spans[-1][2])}."
    )
    unknown = Interval(math.nan, math.nan, math.nan)
    panels = [
        (
            panel.title,
            [(name, [w.metrics.get(name, unknown) for w in walk.windows], colour)
             for name, colour in zip(panel.measures, (RUN, THIRD, FOURTH), strict=False)],
        )
        for panel in walk.panels
    ]  # fmt: skip
    names = [name for panel in walk.panels for name in panel.measures]
    rows: list[Sequence[Cell | str]] = [
        [
            f"{date(w.test_start)} to {date(w.test_end)}",
            *(_metric(w.metrics.get(name, unknown)) for name in names),
        ]
        for w in walk.windows
    ]
    table = Table([("test window", ""), *((name, "") for name in names)], rows)
    height = int(windows_heights(len(spans), len(panels)).sum())
    chart = Chart(f"walk-{place}", windows_figure(spans, panels), sentence, height)
    return [chart, Points(tuple(_middle(walk))), table]


def _metric(interval: Interval) -> Cell:
    if math.isnan(interval.low):
        return Cell(number(interval.estimate, 3, sign=True))
    return Cell(number(interval.estimate, 3, sign=True), tone_of(interval))


def _middle(walk: Walk) -> Iterator[str]:
    """Say of each panel what is typical of the windows, and how often it is above nothing."""
    for panel in walk.panels:
        said = []
        for name in panel.measures:
            found = np.array([w.metrics[name].estimate for w in walk.windows if name in w.metrics])
            found = found[np.isfinite(found)]
            if len(found):
                said.append(
                    f"{series_name(name)} {number(float(np.median(found)), 3, sign=True)} "
                    f"(above zero in {int(np.sum(found > 0))} of {len(found)})"
                )
        if said:
            yield f"{panel.title[:1].upper()}{panel.title[1:]}, median: {', '.join(said)}."
