"""A finished backtest as the dashboard shows it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from quorum.dashboard.decision import Decision, utc
from quorum.dashboard.events import trade_events
from quorum.dashboard.snapshot import GuardStand, Snapshot
from quorum.dashboard.source import Source
from quorum.report.page.run import Run

#: Decisions shown of each pair: the last of the run.
LAST = 48


class BacktestSource(Source):
    """One backtest result, read once.

    Parameters
    ----------
    run : Run
        With its candles.
    decide : callable
        Returns the last decisions of every pair, oldest first; called at the first look.
    models : Path, optional
        Folder of the trained models.
    """

    def __init__(
        self,
        run: Run,
        decide: Callable[[], Mapping[str, Sequence[Decision]]],
        models: Path | None = None,
    ) -> None:
        super().__init__()
        self._run = run
        self._decide = decide
        self._models = models

    def stamp(self) -> Hashable:
        """Return the same always: what is finished does not change."""
        return self._run.name

    def read(self) -> Snapshot:
        """Compute what the heads said last."""
        run = replace(self._run, last=max(self._run.last, self._run.first + 1))
        self.log.add(list(trade_events(run)))
        return Snapshot(
            name=run.name,
            kind=run.kind,
            at=utc(run.last),
            written=utc(run.last),
            live=False,
            settings=run.settings,
            run=run,
            decisions=self._decide(),
            answered={**(run.refused or {}), "accepted": len(run.trades)},
            models=self._models,
            guards=GuardStand(problem="A backtest keeps no state of the guards."),
            notes=run.notes,
        )
