"""What was learned and tuned: random entries, walks forward, models. Hidden while absent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quorum.evidence.bootstrap import percentile_of
from quorum.report.page.blocks import (
    Block,
    Cell,
    Chart,
    Section,
    Table,
    Text,
    counted,
    date,
    number,
    percent,
)
from quorum.report.page.figures import (
    FOURTH,
    RUN,
    THIRD,
    histogram_figure,
    promise_figure,
    windows_figure,
)
from quorum.report.page.inputs import Inputs, ModelEvidence, RandomEntries, Walk

#: Features of a model named at most.
FEATURES = 15


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
    windows = [(w.train_start, w.test_start, w.test_end) for w in walk.windows]
    colours = (RUN, THIRD, FOURTH)
    series = [
        (name, np.array([w.metrics.get(name, np.nan) for w in walk.windows]), colours[i % 3])
        for i, name in enumerate(walk.measures)
    ]
    sentence = (
        f"{walk.title}: {counted(len(windows), 'window')}, each trained on the grey span and "
        f"tested on the blue one after it, {date(windows[0][1])} to {date(windows[-1][2])}."
    )
    rows: list[Sequence[Cell | str]] = [
        [
            f"{date(w.test_start)} to {date(w.test_end)}",
            *(number(w.metrics.get(name, float("nan")), 3) for name in walk.measures),
        ]
        for w in walk.windows
    ]
    middle = [
        f"{name} {number(float(np.nanmedian(values)), 3)}"
        for name, values, _ in series
        if np.isfinite(values).any()
    ]
    table = Table(
        [("test window", ""), *((name, "") for name in walk.measures)],
        rows,
        f"Medians over the windows: {', '.join(middle)}." if middle else "",
    )
    height = 220 + 14 * len(windows)
    return [Chart(f"walk-{place}", windows_figure(windows, series), sentence, height), table]


def models_section(inputs: Inputs) -> Section | None:
    """Show calibration and what the models read; None without models."""
    blocks = [block for i, model in enumerate(inputs.models) for block in _model(model, i)]
    return Section("models", "What did the models learn?", blocks) if blocks else None


def _model(model: ModelEvidence, place: int) -> list[Block]:
    blocks: list[Block] = []
    said = ", ".join(f"{name} {number(value, 3)}" for name, value in model.metrics.items())
    if said:
        blocks.append(Text(f"{model.name}, out of sample: {said}."))
    if model.findings:
        blocks.append(Text(" ".join(model.findings)))
    if len(model.promised):
        inside = (model.low <= model.promised) & (model.promised <= model.high)
        sentence = (
            f"{model.name}: {int(inside.sum())} of {len(inside)} groups of predictions came true "
            "as often as promised."
        )
        figure = promise_figure(
            model.promised, model.realised, model.low, model.high, model.count, "probability"
        )
        blocks.append(Chart(f"model-{place}", figure, sentence))
    if model.importance:
        top = list(model.importance)[:FEATURES]
        largest = top[0][1] or 1.0
        rows: list[Sequence[Cell | str]] = [
            [name, Cell(percent(share), bar=share / largest)] for name, share in top
        ]
        caption = (
            f"{model.name}: {top[0][0]} carries most; the {len(top)} features shown carry "
            f"{percent(sum(share for _, share in top), 0)}."
        )
        blocks.append(Table([("feature", ""), ("share of importance", "")], rows, caption))
    return blocks
