"""``quorum hybrid``: models alone, advisors alone, and both together."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from quorum.cli.ablation import load_materials
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.cli.inspect import PairsOption, chosen_pairs, open_config
from quorum.cli.spans import read_timerange
from quorum.evidence.bootstrap import Interval
from quorum.simulation.hybrid_evidence import Made, hybrid_evidence


@command("hybrid")
def hybrid_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    pair: PairsOption = None,
    timerange: Annotated[str | None, typer.Option(help="for example 20230101-20250430")] = None,
) -> None:
    """Print what models, advisors and their hybrid would have made on the same candles.

    Only candles count at which both spoke: trained models, and answers in the ledger.
    """
    loaded, settings = open_config(config, datadir, None)
    pairs = chosen_pairs(loaded, pair)
    materials = load_materials(loaded, settings, pairs, read_timerange(timerange))
    show_evidence(hybrid_evidence(materials))


def show_evidence(made: list[Made]) -> None:
    """Print the table of H-7."""
    if not made:
        console.print("models and advisors never spoke at the same time: nothing to compare")
        return
    table = Table(
        "decided by", "trades", "win rate", "R a trade", "Sharpe", "drawdown [R]",
        "profit factor", "false signals", title="the hybrid and its parts (95 % intervals)",
    )  # fmt: skip
    for m in made:
        table.add_row(
            m.decider,
            str(m.trades),
            _text(m.win_rate, "{:.0%}"),
            _text(m.mean_r, "{:+.2f}"),
            _text(m.sharpe, "{:.2f}"),
            _text(m.drawdown, "{:.1f}"),
            _text(m.profit_factor, "{:.2f}"),
            _text(m.false_signals, "{:.0%}"),
        )
    console.print(table)


def _text(interval: Interval, form: str) -> str:
    edges = (interval.estimate, interval.low, interval.high)
    told = ["?" if edge != edge else form.format(edge) for edge in edges]
    return f"{told[0]} ({told[1]} to {told[2]})"
