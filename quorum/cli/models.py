"""``quorum models``: which models there are, which are in use, and how to change that."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from quorum.bot.host import load_files
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, app, command, console
from quorum.errors import DataError
from quorum.learning.manifest import ChainManifest, VintageManifest, flatten
from quorum.learning.store import ModelStore
from quorum.settings import load_settings

models = typer.Typer(no_args_is_help=True, help="Show, check and switch the trained models.")
app.add_typer(models, name="models")

ModelsDirOption = Annotated[
    Path | None,
    typer.Option("--models-dir", help="default: models/quorum in the user directory"),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="why; kept in the history")]
#: Metrics shown in tables, by the end of their names, the first that are there.
KEY_METRICS = ("log_loss", "brier", "auc", "precision", "profit_r")
COLUMNS = 4


def models_folder(config: list[Path], models_dir: Path | None) -> Path:
    """Return the folder of the model store: as given, else that of the configuration."""
    if models_dir is not None:
        return models_dir
    loaded = load_files(config)
    learning = load_settings(loaded.get("quorum")).learning
    return learning.store(loaded.get("user_data_dir") or "user_data")


@command("list", models)
def list_command(config: ConfigOption = DEFAULT_CONFIG, models_dir: ModelsDirOption = None) -> None:
    """List the chains of models; the one in use is marked."""
    store = ModelStore(models_folder(config, models_dir))
    chains = store.chains()
    try:
        current = store.current()
    except DataError as error:  # the list is what is needed to promote another one
        current = None
        console.print(f"[bold red]no chain can be used:[/] {escape(str(error))}")
    if not chains:
        written = len(store.vintages())
        console.print(f"{store.root}: no chain of models was published ({written} vintages)")
        return
    shown = _key_metrics([chain.metrics for chain in chains])
    table = _table("chains of models", ["", "id", "published", "vintages", "timeframe"], shown)
    table.add_column("reason")
    for chain in reversed(chains):
        table.add_row(
            "[green]in use[/]" if chain == current else "",
            chain.id,
            _date(chain.created),
            str(len(chain.vintages)),
            chain.timeframe,
            *_values(chain.metrics, shown),
            escape(chain.reason),
        )
    console.print(table)


@command("inspect", models)
def inspect_command(
    name: Annotated[
        str | None, typer.Argument(help="chain or vintage; default: the chain in use")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    models_dir: ModelsDirOption = None,
) -> None:
    """Print the vintages of a chain, or everything known of one vintage; checks every file."""
    store = ModelStore(models_folder(config, models_dir))
    found = _find(store, name)
    if isinstance(found, ChainManifest):
        _print_chain(store, found)
    else:
        _print_vintage(store, found)


@command("promote", models)
def promote_command(
    name: Annotated[str, typer.Argument(help="chain to put in use; its beginning is enough")],
    reason: ReasonOption = "by hand",
    config: ConfigOption = DEFAULT_CONFIG,
    models_dir: ModelsDirOption = None,
) -> None:
    """Put a chain in use, after checking all its files."""
    store = ModelStore(models_folder(config, models_dir))
    found = _find(store, name)
    if not isinstance(found, ChainManifest):
        raise DataError(f"{found.key} is a vintage; promote a chain, see `quorum models list`")
    console.print(f"in use: {store.promote(found.id, reason).id}")


@command("rollback", models)
def rollback_command(
    reason: ReasonOption = "by hand",
    config: ConfigOption = DEFAULT_CONFIG,
    models_dir: ModelsDirOption = None,
) -> None:
    """Put the chain in use that was so before the present one."""
    store = ModelStore(models_folder(config, models_dir))
    console.print(f"in use: {store.rollback(reason).id}")


@command("prune", models)
def prune_command(
    keep: Annotated[int, typer.Option("--keep", min=1, help="newest chains to keep")] = 5,
    config: ConfigOption = DEFAULT_CONFIG,
    models_dir: ModelsDirOption = None,
) -> None:
    """Remove old chains, and vintages that no chain uses; never the chain in use."""
    store = ModelStore(models_folder(config, models_dir))
    if not store.root.is_dir():
        raise DataError(f"{store.root}: there are no models")
    pruned = store.prune(keep)
    console.print(f"removed {len(pruned.chains)} chains and {len(pruned.vintages)} vintages")


def _find(store: ModelStore, name: str | None) -> ChainManifest | VintageManifest:
    """Return the chain or vintage whose name begins with ``name``."""
    if name is None:
        current = store.current()
        if current is None:
            raise DataError(f"{store.root}: no chain of models is in use, see `quorum train`")
        return current
    known: dict[str, ChainManifest | VintageManifest] = {
        **{vintage.key: vintage for vintage in store.vintages()},
        **{chain.id: chain for chain in store.chains()},
    }
    found = [name] if name in known else [key for key in known if key.startswith(name)]
    if len(found) != 1:
        which = "is no chain or vintage" if not found else f"may be any of {', '.join(found)}"
        raise DataError(f"{store.root}: {name!r} {which}")
    return known[found[0]]


def _print_chain(store: ModelStore, chain: ChainManifest) -> None:
    vintages = [store.verify(key) for key in chain.vintages]
    for line in (
        f"chain {chain.id}, published {_date(chain.created)}: {chain.reason}",
        f"{chain.timeframe}, {len(vintages[0].features)} features, {len(vintages)} vintages,"
        " all files as written",
        *(f"{name} = {_text(value)}" for name, value in flatten(chain.metrics).items()),
    ):
        console.print(escape(line), highlight=False)
    shown = _key_metrics([vintage.metrics for vintage in vintages])
    table = _table("vintages", ["key", "valid from", "cut-off", "rows", "age, days"], shown)
    now = datetime.now(UTC).timestamp()
    for vintage in vintages:
        table.add_row(
            vintage.key,
            _date(vintage.valid_from),
            _date(vintage.cut_off),
            str(vintage.rows),
            f"{(now - vintage.cut_off / 1000) / 86_400:.0f}",
            *_values(vintage.metrics, shown),
        )
    console.print(table)


def _print_vintage(store: ModelStore, vintage: VintageManifest) -> None:
    store.verify(vintage.key)
    size = sum(file.size for file in vintage.files.values())
    facts = {
        "valid from": _date(vintage.valid_from),
        "trained on": f"{_date(vintage.train_start)} to {_date(vintage.cut_off)}",
        "rows": f"{vintage.rows} of {', '.join(vintage.pairs)}, {vintage.timeframe}",
        "written": _date(vintage.created),
        "files": f"{len(vintage.files)}, {size / 1024:.0f} KiB, all as written",
        "libraries": ", ".join(f"{name} {of}" for name, of in vintage.libraries.items()),
        **flatten(vintage.labels, "labels"),
        **flatten(vintage.models, "models"),
        **flatten(vintage.metrics, "metrics"),
    }
    table = Table(title=f"vintage {vintage.key}", show_header=False)
    for name, value in facts.items():
        table.add_row(escape(name), escape(_text(value)))
    console.print(table)
    console.print(f"{len(vintage.features)} features, sha256 {vintage.features_hash}")
    console.print(escape(", ".join(vintage.features)), highlight=False)


def _key_metrics(trees: list[Any]) -> list[str]:
    """Return the names of the few metrics that say most, of those that any tree has."""
    names = list(dict.fromkeys(name for tree in trees for name in flatten(tree)))
    ranked = [n for end in KEY_METRICS for n in names if n.rpartition(".")[2] == end]
    return (ranked or names)[:COLUMNS]


def _table(title: str, headings: list[str], metrics: list[str]) -> Table:
    table = Table(title=title)
    for heading in headings:
        table.add_column(
            heading, justify="right" if heading in ("vintages", "rows", "age, days") else "left"
        )
    for name in metrics:
        table.add_column(escape(name), justify="right")
    return table


def _values(tree: dict[str, Any], names: list[str]) -> list[str]:
    leaves = flatten(tree)
    return [escape(_text(leaves[name])) if name in leaves else "" for name in names]


def _text(value: Any) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _date(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M}"
