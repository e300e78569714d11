"""``quorum models evidence``: what a chain's models are worth on candles they had not seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, command, console
from quorum.cli.models import ModelsDirOption, models, models_folder
from quorum.errors import DataError
from quorum.learning.evidence_document import (
    TOTAL,
    Baseline,
    Evidence,
    Figures,
    ModelEvidence,
    Range,
    Trades,
    evidence_path,
    load_evidence,
)
from quorum.learning.stored import StoredModels

#: Headings of the table by model and year.
COLUMNS = (
    "model",
    "period",
    "rows",
    "log loss",
    "over base",
    "Brier",
    "AUC",
    "up/down",
    "precision",
    "coverage",
    "ECE",
    "trades",
    "mean R",
    "total R",
)
#: Features shown of each model.
FEATURES = 8


@command("evidence", models)
def evidence_command(
    chain: Annotated[
        str | None, typer.Argument(help="chain; its beginning is enough; default: the one in use")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    models_dir: ModelsDirOption = None,
    features: Annotated[
        int, typer.Option("--features", min=0, help="features shown of each model")
    ] = FEATURES,
) -> None:
    """Print how good the models were out of sample, next to what no model reaches."""
    store = StoredModels(models_folder(config, models_dir))
    name = _chain(store, chain)
    evidence = load_evidence(store.root, name)
    if evidence is None:
        raise DataError(
            f"{evidence_path(store.root, name)}: there is no evidence of chain {name}; "
            "`quorum train` makes it"
        )
    print_evidence(evidence, features)


def _chain(store: StoredModels, begins: str | None) -> str:
    if begins is None:
        current = store.current()
        if current is None:
            raise DataError(f"{store.root}: no chain of models is in use, see `quorum train`")
        return current.id
    found = [chain.id for chain in store.chains() if chain.id.startswith(begins)]
    if len(found) != 1:
        which = "is no chain" if not found else f"may be any of {', '.join(found)}"
        raise DataError(f"{store.root}: {begins!r} {which}")
    return found[0]


def print_evidence(evidence: Evidence, features: int = FEATURES) -> None:
    """Print the tables of a chain, and what follows."""
    console.print(evidence_tables(evidence, features))


def evidence_tables(evidence: Evidence, features: int = FEATURES) -> RenderableType:
    """Return the tables of a chain, and what follows."""
    parts: list[RenderableType] = [figures_table(evidence), baselines_table(evidence)]
    if features:
        parts.append(features_table(evidence, features))
    for model in evidence.models.values():
        parts.append(Text(f"\n{model.name}", style="bold"))
        parts += [Text(f"  {line}") for line in model.findings]
    parts.append(Text("\nWhat follows", style="bold"))
    parts += [Text(f"  {line}") for line in evidence.conclusions]
    return Group(*parts)


def figures_table(evidence: Evidence) -> Table:
    """Return one row per model and year."""
    table = Table(
        title=f"out of sample, {_day(evidence.first)} to {_day(evidence.last)}, "
        f"{len(evidence.pairs)} pairs",
        caption=f"intervals of {evidence.level:.0%} from days drawn in blocks; precision and "
        f"coverage from a probability of {evidence.threshold:.2f}; over base: log loss of the base "
        "rates less the model's, above 0 is better; up/down: AUC of up against down; ECE: "
        "calibration error before and after calibration; trades of its signals, after costs, one "
        "at a time per pair",
        caption_justify="left",
    )
    for heading in COLUMNS:
        left = heading in ("model", "period")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for name, model in evidence.models.items():
        for period, figures in model.periods.items():
            last = period == TOTAL
            style = "bold" if last else None
            table.add_row(name, period, *_cells(figures), style=style, end_section=last)
    return table


def _cells(f: Figures) -> list[str]:
    trades = f.trades
    return [
        f"{f.rows:,}",
        _number(f.log_loss.estimate),
        _range(f.gain_on_majority, 4, "+"),
        _number(f.brier.estimate),
        _range(f.auc),
        "" if f.direction_auc is None else _range(f.direction_auc),
        _range(f.precision),
        f"{f.coverage:.1%}",
        f"{_number(f.ece_before)}\n{_number(f.ece_after)}",
        *_trades(trades),
    ]


def _trades(trades: Trades | None) -> tuple[str, str, str]:
    if trades is None:
        return "", "", ""
    return f"{trades.count:,}", _range(trades.mean_r, 3, "+"), f"{trades.total_r:+.1f}"


def baselines_table(evidence: Evidence) -> Table:
    """Return what no model reaches in total, next to the model."""
    table = Table(
        title="next to no model, all years",
        caption="majority: the base rates of each vintage's training rows; momentum: the rates "
        "after the sign of the last 24 candles' return; shuffled: the same forecasts against "
        "labels of another time. Trades: always on the likelier side; of meta: all signals, "
        "those that go with momentum; shuffled: the model's trades with results of another time",
        caption_justify="left",
    )
    for heading in ("model", "forecast", "log loss", "Brier", "AUC", "trades", "mean R", "total R"):
        table.add_column(heading, justify="left" if heading in ("model", "forecast") else "right")
    for name, model in evidence.models.items():
        total = model.periods[TOTAL]
        table.add_row(
            name,
            "the model",
            _number(total.log_loss.estimate),
            _number(total.brier.estimate),
            _range(total.auc),
            *_trades(total.leaning),
            style="bold",
        )
        for kind, baseline in total.baselines.items():
            table.add_row("", kind, *_baseline_cells(baseline))
        table.add_section()
    return table


def _baseline_cells(b: Baseline) -> list[str]:
    count, mean, total = _trades(b.trades)
    if b.mean_r is not None:
        mean = _range(b.mean_r, 3, "+")
    return [_number(b.log_loss), _number(b.brier), _range(b.auc), count, mean, total]


def features_table(evidence: Evidence, count: int) -> Table:
    """Return the features that carry each model, largest first."""
    table = Table(title="what carries the models")
    for heading in ("model", "feature", "SHAP", "gain", "among the first"):
        table.add_column(heading, justify="left" if heading in ("model", "feature") else "right")
    for name, model in evidence.models.items():
        for feature in model.importance.features[:count]:
            table.add_row(
                name,
                escape(feature.name),
                "" if feature.shap is None else f"{feature.shap:.1%}",
                f"{feature.gain:.1%}",
                f"{feature.top:.0%} of vintages",
            )
        table.add_row(name, _stability(model), "", "", "", style="dim", end_section=True)
    return table


def _stability(model: ModelEvidence) -> str:
    found = model.importance
    if found.rank_correlation is None:
        return f"{found.vintages} vintages"
    return (
        f"{found.vintages} vintages, weights of neighbours correlate {found.rank_correlation:.2f}"
    )


def _range(found: Range, digits: int = 3, sign: str = "") -> str:
    if found.estimate is None:
        return ""
    shown = f"{found.estimate:{sign}.{digits}f}"
    if found.low is None or found.high is None:
        return shown
    return f"{shown}\n{found.low:{sign}.{digits}f} {found.high:{sign}.{digits}f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d")
