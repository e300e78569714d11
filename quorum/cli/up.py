"""``quorum up``: bot, dashboard and what else runs beside them, on one machine."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from quorum.bot.host import load_files
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.cli.live import OVERLAY
from quorum.cli.run import SYNTHETIC, USER_DATA, write_market
from quorum.cli.trades import DEFAULT_USER_DATA, UserDataOption
from quorum.errors import DataError
from quorum.supervision.process import Program
from quorum.supervision.supervisor import Supervisor

#: Words of the command line of each program; ``quorum`` itself unless it is the bot.
PROGRAMS: dict[str, tuple[str, ...]] = {
    "bot": ("trade",),
    "dashboard": ("serve",),
    "trainer": ("train", "--watch"),
}
DEFAULT = ("bot", "dashboard")
#: The demonstration: where it is kept, where its candles begin, how fast its clock goes.
DEMO, DEMO_START, DEMO_SPEED = "demo-live", "20240301", 60.0


@command("up")
def up_command(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"of {', '.join(PROGRAMS)}; default: bot dashboard")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    user_data: UserDataOption = DEFAULT_USER_DATA,
    demo: Annotated[
        bool, typer.Option("--demo", help="a dry run on the local exchange, no keys, no network")
    ] = False,
    datadir: DatadirOption = None,
    start: Annotated[str, typer.Option("--from", help="with --demo: begin there")] = DEMO_START,
    speed: Annotated[
        float, typer.Option(min=1.0, help="with --demo: exchange seconds per second")
    ] = DEMO_SPEED,
    port: Annotated[int, typer.Option(min=1, max=65535, help="of the dashboard")] = 8787,
    host: Annotated[str, typer.Option(help="address of the dashboard")] = "127.0.0.1",
) -> None:
    """Run everything as processes that are started again when they die, until Ctrl-C."""
    chosen = list(dict.fromkeys(names or DEFAULT))
    unknown = [name for name in chosen if name not in PROGRAMS]
    if unknown:
        raise DataError(f"up {unknown[0]}: there are {', '.join(PROGRAMS)}")
    serving = ["--port", str(port), "--host", host, "--user-data", str(user_data)]
    if demo:
        programs = demo_programs(config, user_data, datadir, start, speed, serving)
    else:
        load_files(config)
        programs = [_program(name, config, serving) for name in chosen]
    run_programs(programs, user_data)


def _program(name: str, config: Sequence[Path], serving: Sequence[str]) -> Program:
    package = "freqtrade" if name == "bot" else "quorum"
    layers = [word for path in config for word in ("--config", str(path))]
    more = serving if name == "dashboard" else ()
    return Program(
        name,
        [sys.executable, "-m", package, *PROGRAMS[name], *layers, *more],
        shown=name == "dashboard",
    )


def demo_programs(
    config: Sequence[Path],
    user_data: Path,
    datadir: Path | None,
    start: str,
    speed: float,
    serving: Sequence[str],
) -> list[Program]:
    """Return a dry run on the local exchange and its dashboard."""
    if datadir is None:
        datadir = SYNTHETIC
        if not datadir.is_dir():
            USER_DATA.mkdir(exist_ok=True)
            write_market(datadir)
    kept = user_data / DEMO
    layers = [word for path in config for word in ("--config", str(path))]
    exchange = [
        sys.executable, "-m", "quorum", "replay", "--live", "--from", start, "--speed", str(speed),
        "--keep", str(kept), "--datadir", str(datadir), *layers, "--", "trade",
    ]  # fmt: skip
    overlay = kept / OVERLAY
    dashboard = [
        sys.executable, "-m", "quorum", "serve", *layers, "--config", str(overlay),
        "--datadir", str(datadir), *serving,
    ]  # fmt: skip
    return [
        Program("bot", exchange, makes=[overlay]),
        Program("dashboard", dashboard, needs=[overlay], follows="bot", shown=True),
    ]


def run_programs(programs: Sequence[Program], folder: Path) -> None:
    """Supervise programs until interrupted or terminated."""
    width = max(len(program.name) for program in programs)

    def tell(name: str, line: str) -> None:
        console.print(f"[dim]{name:>{width}}[/] {escape(line)}", highlight=False, soft_wrap=True)

    supervisor = Supervisor(programs, folder, tell)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: supervisor.stop())
    supervisor.run()
