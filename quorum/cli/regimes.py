"""``regimes``: how often the regimes read are those a synthetic market was made with."""

from __future__ import annotations

from typing import Annotated

import typer

from quorum.bot.host import load_files, read_settings
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.cli.run import SYNTHETIC, write_market
from quorum.context.regime import Regime
from quorum.report.regime_accuracy import describe, regime_accuracy


@command("regimes")
def regimes_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    pair: Annotated[
        list[str] | None, typer.Option("--pair", "-p", help="default: every futures pair")
    ] = None,
) -> None:
    """Print how often regimes are read right on a synthetic market, and what they are taken for."""
    settings = read_settings(load_files(config), "1h")
    if datadir is None:
        write_market(SYNTHETIC)
    results = regime_accuracy(datadir or SYNTHETIC, pair, Regime(settings.context_of(Regime)))
    console.print(describe(results), highlight=False, soft_wrap=True)
