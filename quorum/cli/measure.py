"""``measure``: what signals did on the candles at hand, kept for bots (spec C12)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.table import Table

from quorum.bot.host import load_market
from quorum.bot.models import OUTCOMES, fitting_models
from quorum.cli.app import (
    DEFAULT_CONFIG,
    ConfigOption,
    DatadirOption,
    TimeframeOption,
    command,
    console,
)
from quorum.cli.inspect import PairsOption, chosen_pairs, open_config
from quorum.confidence import LEAST, Outcomes, joined
from quorum.consensus import Band, bands
from quorum.measured import OutcomePool, outcome_file
from quorum.pipeline import evaluate
from quorum.settings import Settings
from quorum.signals import publish


@command("measure")
def measure_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    timeframe: TimeframeOption = None,
    pair: PairsOption = None,
) -> None:
    """Simulate every signal of the candles at hand and keep what became of it.

    A running bot with the same settings reads it at its start, measures its signals by it, and
    adds what becomes of them. Backtests measure from their own candles.
    """
    loaded, settings = open_config(config, datadir, timeframe)
    pairs = chosen_pairs(loaded, pair)
    folder = Path(loaded["user_data_dir"]) / OUTCOMES
    path = outcome_file(folder, settings, loaded["timeframe"])
    models = fitting_models(loaded, settings, loaded["timeframe"], pairs)
    pool = models.outcomes = OutcomePool(path)
    with console.status("") as status:
        for name in pairs:
            status.update(f"simulating the signals of {name}")
            market = load_market(loaded, settings, name)
            models.observe(market, publish(evaluate(market, settings, models)))
    pool.save()
    known = joined(list(pool.parts.values()))
    console.print(outcome_table(known, settings))
    weight = float(known.weight.sum())
    console.print(f"{len(known):,} outcomes, worth {weight:,.0f} that do not overlap, in {path}")
    if weight < LEAST:
        console.print(f"[yellow]{LEAST:g} are needed: confidence stays as stated[/]")


def outcome_table(known: Outcomes, settings: Settings) -> Table:
    """Return what signals stated and what they did, by side and stated band."""
    table = Table(title="what signals stated, and what they did")
    for heading in ("side", "stated band", "signals", "promised", "won", "mean R"):
        table.add_column(heading, justify="left" if heading in ("side", "stated band") else "right")
    band = bands(known.stated, settings.consensus)
    promised = dict(zip((Band.VERY_HIGH, Band.HIGH, Band.MEDIUM), settings.sizing.win_rate,
                        strict=True))  # fmt: skip
    for side, name in ((1, "long"), (-1, "short")):
        for which, rate in promised.items():
            own = (known.direction == side) & (band == which)
            if not own.any():
                continue
            r, weight = known.r[own], known.weight[own]
            table.add_row(
                name,
                which.name.lower().replace("_", " "),
                f"{int(own.sum()):,}",
                f"{rate:.0%}",
                f"{np.average(r > 0, weights=weight):.1%}",
                f"{np.average(r, weights=weight):+.3f}",
            )
    return table
