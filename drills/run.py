"""``make drill``: every drill, a summary table, a record in ``user_data/drills/``.

Exit status 1 if anything was lost, doubled, left unprotected, or otherwise wrong.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from drills import advisors, faults, kills, same_trades
from drills.ground import BUSY, PAIRS, Report, market, reported

ROOT = Path(__file__).parent.parent
SPAN = ("2023-06-22", "2023-07-06")
Drilled = Callable[[Path, Path, Report], None]


def drills(count: int, seed: int, span: tuple[str, str]) -> dict[str, Drilled]:
    """Return every drill by name; ``count`` kills are shared by the ways to trade."""
    begin, end = span
    share = [count // 3 + (i < count % 3) for i in range(3)]

    def same(folder: Path, datadir: Path, report: Report) -> None:
        same_trades.run(
            folder, datadir, begin=begin, end=end, pairs=PAIRS, changes=BUSY, report=report
        )

    def killed(
        folder: Path, datadir: Path, report: Report, *, orders: bool, stops: bool, count: int
    ) -> None:
        kills.run(
            folder, datadir, orders=orders, stops=stops, count=count, seed=seed, report=report
        )

    def faulty(folder: Path, datadir: Path, report: Report) -> None:
        faults.run(folder, datadir, stops=True, report=report)

    def closing(folder: Path, datadir: Path, report: Report) -> None:
        kills.run_closing(folder, datadir, stops=True, seed=seed, report=report)

    def advised(folder: Path, datadir: Path, report: Report) -> None:
        advisors.run(folder, datadir, report=report)

    return {
        # The longest first.
        "same-trades": same,
        "faults": faulty,
        "kills-dry": partial(killed, orders=False, stops=False, count=share[2]),
        "kills-live": partial(killed, orders=True, stops=False, count=share[1]),
        "kills-live-stops": partial(killed, orders=True, stops=True, count=share[0]),
        "kills-closing": closing,
        "advisors": advised,
    }


def drill(name: str, count: int, seed: int, span: tuple[str, str], folder: Path) -> Report:
    """Run one drill in its own process."""
    logging.getLogger("quorum").setLevel(logging.WARNING)
    target = folder / name
    target.mkdir(parents=True)
    with reported(name) as report:
        drills(count, seed, span)[name](target, folder / "market", report)
    return report


def table(reports: Sequence[Report], seconds: float) -> Table:
    """Return the summary."""
    shown = Table(title="Drills")
    for column in ("drill", "trades", "kills", "restarts", "faults", "losses", "seconds"):
        shown.add_column(column, justify="left" if column == "drill" else "right")
    total = Report("all", seconds=round(seconds, 1))
    for report in reports:
        total.trades += report.trades
        total.kills += report.kills
        total.restarts += report.restarts
        total.faults.update(report.faults)
        total.losses += report.losses
    for report in (*reports, total):
        if report is total:
            shown.add_section()
        shown.add_row(
            report.drill,
            *(str(n) for n in (report.trades, report.kills, report.restarts)),
            str(report.faults.total()),
            str(len(report.losses) or "none"),
            f"{report.seconds:.0f}",
        )
    return shown


def show(console: Console, reports: Sequence[Report], seconds: float) -> None:
    """Print the summary, the faults by kind, what was lost and what is explained."""
    console.print(table(reports, seconds))
    served: Counter[str] = sum((report.faults for report in reports), Counter())
    if served:
        kinds = Table(title="Faults served")
        kinds.add_column("kind")
        kinds.add_column("times", justify="right")
        for kind, times in sorted(served.items()):
            kinds.add_row(kind, str(times))
        console.print(kinds)
    for report in reports:
        for text in report.notes:
            console.print(f"{report.drill}: {text}", markup=False, highlight=False, soft_wrap=True)
        for text in report.losses:
            console.print(
                f"LOSS {report.drill}: {text}", markup=False, highlight=False, soft_wrap=True
            )


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    names = list(drills(0, 0, SPAN))
    parser = argparse.ArgumentParser(description="End-to-end drills of the bot.")
    parser.add_argument("--kills", type=int, default=25, help="kills at random moments, in all")
    parser.add_argument("--only", action="append", choices=names, help="drill to run")
    parser.add_argument("--seed", type=int, default=6, help="of the random moments")
    parser.add_argument("--jobs", type=int, default=2, help="drills at the same time")
    parser.add_argument("--from", dest="begin", default=SPAN[0], help="first day of same-trades")
    parser.add_argument("--to", dest="end", default=SPAN[1], help="last day of same-trades")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "user_data" / "drills", help="folder of the record"
    )
    parser.add_argument("--keep", type=Path, help="new folder for databases and logs")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the drills and return the exit status."""
    options = arguments(given)
    names = options.only or list(drills(0, 0, SPAN))
    console, begun = Console(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="quorum-drill-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        market(folder)
        reports = []
        with ProcessPoolExecutor(options.jobs) as pool:
            span = (options.begin, options.end)
            running = [
                pool.submit(drill, name, options.kills, options.seed, span, folder)
                for name in names
            ]
            for done in as_completed(running):
                report = done.result()
                reports.append(report)
                console.print(
                    f"{report.drill}: {len(report.losses) or 'no'} losses, {report.seconds:.0f} s"
                )
    reports.sort(key=lambda report: names.index(report.drill))
    seconds = time.monotonic() - begun
    show(console, reports, seconds)
    options.output.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC)
    record = {
        "at": at.isoformat(timespec="seconds"),
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "losses": sum(len(report.losses) for report in reports),
        "drills": [report.record() for report in reports],
    }
    target = options.output / f"drill-{at:%Y%m%d-%H%M%S}.json"
    target.write_text(json.dumps(record, indent=1), encoding="utf-8")
    console.print(f"record: {target}", markup=False, highlight=False, soft_wrap=True)
    return 1 if record["losses"] else 0


if __name__ == "__main__":
    sys.exit(main())
