"""``quorum tune``: walk-forward hyperopt that says what its result is worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

from quorum.bot.epochs import Spaces, parameter_file, tunable_spaces
from quorum.bot.host import load_files, read_settings, whitelist
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.cli.run import SYNTHETIC, USER_DATA
from quorum.cli.walk_forward import LOSS, Job, alone, run_window
from quorum.errors import DataError
from quorum.extras import require
from quorum.replay.datadir import DataDirectory
from quorum.replay.exchange import ExchangeServer, ExchangeSettings
from quorum.settings import Settings
from quorum.tuning.table import render
from quorum.tuning.verdict import judge
from quorum.tuning.walk import WalkFolder, WindowResult, write_json
from quorum.tuning.windows import Window, read_timerange, walk_forward

#: The space that only sizing by confluence reads.
WEIGHTS = "weights"


@command("tune")
def tune_command(
    timerange: Annotated[str, typer.Option(help="for example 20220101-20250401")],
    name: Annotated[str, typer.Option(help="of the run, under user_data/tuning")] = "tuning",
    train_months: Annotated[int, typer.Option(min=1, help="tuned on")] = 12,
    judge_months: Annotated[int, typer.Option(min=1, help="judged on, after them")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="trials per window")] = 100,
    spaces: Annotated[
        list[str] | None, typer.Option("--space", help="parameters to tune; may be repeated")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    pairs: Annotated[
        list[str] | None, typer.Option("--pair", help="instead of the whitelist; repeatable")
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            envvar="QUORUM_STORAGE", help="database several machines share, postgresql://..."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(help="epochs at a time, -1: one per core")] = -1,
    seed: Annotated[int, typer.Option(min=1, help="of the random numbers")] = 1,
    export: Annotated[
        Path | None, typer.Option(help="write the newest parameters to this file")
    ] = None,
) -> None:
    """Tune on a span, judge on the next, and say whether the result is more than luck.

    Every trial is counted. A finished window is not tuned again. No parameter file is written
    unless --export names it.
    """
    require("hyperopt", "filelock", "optuna")
    loaded = load_files(config)
    settings = read_settings(loaded, str(loaded.get("timeframe", "1h")))
    windows = walk_forward(*read_timerange(timerange), train_months, judge_months)
    strategy = find_file(loaded, str(loaded.get("strategy", "Quorum")), "strategies")
    loss = find_file(loaded, LOSS, "hyperopts")
    chosen = choose_spaces(tunable_spaces(loaded, strategy.parent), spaces, settings)
    folder = datadir or SYNTHETIC
    listed = choose_pairs(folder, pairs or whitelist(loaded), windows)
    walk = WalkFolder(
        USER_DATA / "tuning" / name,
        {
            "settings": settings.model_dump(mode="json"),
            "pairs": list(listed),
            "timeframe": loaded.get("timeframe", "1h"),
            "windows": [[w.train, w.judge] for w in windows],
            "spaces": {space: chosen[space] for space in sorted(chosen)},
            "epochs": epochs,
            "data": folder.name,
        },
    )
    with alone(walk.folder, storage), ExchangeServer(folder, ExchangeSettings()) as exchange:
        job = Job(
            configs=config,
            config=loaded,
            settings=settings,
            datadir=folder,
            exchange=exchange,
            pairs=listed,
            strategy=strategy,
            loss=loss,
            spaces=tuple(sorted(chosen)),
            epochs=epochs,
            jobs=jobs,
            seed=seed,
            storage=storage,
            walk=walk,
        )
        results = [run_window(job, window) for window in windows]
    report(job, results, export)


def find_file(config: dict[str, Any], name: str, kind: str) -> Path:
    """Return the file that defines a class: of a strategy, or of a loss (``"hyperopts"``).

    Looked for in the configuration's strategy path, or the folder beside it, and in the user
    directory.
    """
    user_data = Path(config.get("user_data_dir") or USER_DATA)
    named = Path(config.get("strategy_path") or user_data / "strategies")
    folders = (named if kind == "strategies" else named.parent / kind, user_data / kind)
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            if f"class {name}(" in path.read_text(encoding="utf-8"):
                return path
    raise DataError(f"no class {name} in {' or '.join(map(str, dict.fromkeys(folders)))}")


def choose_spaces(known: Spaces, wanted: Sequence[str] | None, settings: Settings) -> Spaces:
    """Return the spaces to tune with their parameters; by default all that change a trade."""
    idle = {WEIGHTS} if settings.sizing.method != "confluence" else set()
    for space in wanted or ():
        if space not in known:
            raise DataError(f"--space {space}: the strategy has {', '.join(sorted(known))}")
        if space in idle:
            raise DataError(
                f"--space {space}: with sizing.method = {settings.sizing.method!r} weights change "
                "no trade; they act through the confluence score (sizing.method = 'confluence')"
            )
    names = wanted or [space for space in known if space not in idle]
    return {space: known[space] for space in names}


def choose_pairs(
    datadir: Path, listed: Sequence[str], windows: Sequence[Window]
) -> tuple[str, ...]:
    """Return the listed pairs that have every series over all windows; tell which have not."""
    first, last = pd.Timestamp(windows[0].train_start), pd.Timestamp(windows[-1].judge_end)
    selection = DataDirectory(datadir).select(start=first, end=last)
    pairs = tuple(pair for pair in listed if pair in selection.pairs)
    for pair in listed:
        if pair not in pairs:
            reason = selection.rejected.get(pair, "no candles")
            console.print(f"[yellow]{pair} is left out[/]: {reason}")
    if not pairs:
        raise DataError(f"{datadir}: no pair covers the windows")
    return pairs


def report(job: Job, results: Sequence[WindowResult], export: Path | None) -> None:
    """Print tables, verdict and the newest parameters; store all of it."""
    verdict = judge(results)
    path = job.walk.folder / "result.json"
    write_json(path, {"verdict": asdict(verdict), "windows": [asdict(r) for r in results]})
    console.print(render(results, verdict))
    newest = parameter_file(str(job.config.get("strategy", "Quorum")), results[-1].parameters)
    console.print(f"tuned on {results[-1].train} (result: {path}):", soft_wrap=True)
    console.print_json(json.dumps(newest["params"]))
    if export is None:
        console.print("nothing written; --export PATH writes these parameters for the host")
        return
    write_json(export, newest)
    console.print(f"written to {export}; beside the strategy it is in force", soft_wrap=True)
