"""Material: what one evaluation of a pair leaves behind, from which any variant is decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from quorum.candles import Candles
from quorum.consensus import ConsensusSettings
from quorum.pipeline import Evaluation
from quorum.settings import Settings
from quorum.signals import Decider, SignalTable, decide, publish
from quorum.simulation.context import Context, KnownContext
from quorum.simulation.venue import Venue
from quorum.typing import Bools, Ints

#: What a signal is decided from beside the votes.
DECIDED_FROM = ("tradable", "atr", "close")


@dataclass(frozen=True)
class Material:
    """The published columns of one pair over the candles of a run.

    Attributes
    ----------
    pair : str
    candles : Candles
    table : SignalTable
        Decided with every head.
    tradable : ndarray of shape (n_candles,), bool
    venue : Venue
    settings : Settings
    frame : DataFrame
        The votes, as :func:`quorum.signals.decide` takes them; with ``models`` every column.
    models : Decider or None
        Trained models, where they decide which entries there are or how large they become.
    reference : Candles or None
        Of the coin that the guards look at.
    """

    pair: str
    candles: Candles
    table: SignalTable
    tradable: Bools
    venue: Venue
    settings: Settings
    frame: pd.DataFrame
    models: Decider | None = None
    reference: Candles | None = None

    def decide(
        self,
        heads: tuple[str, ...] | None = None,
        consensus: ConsensusSettings | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> SignalTable:
        """Return the signals that other heads or another consensus would have given."""
        frame, known = self.frame, self.table.votes.heads
        heads = heads or known
        if self.models is not None:
            # Models know every head: one that is left out abstains, to the consensus the same.
            frame = frame.assign(
                **{f"vote_{h}": np.float32("nan") for h in known if h not in heads}
            )
            heads = known
        decided = decide if self.models is None else self.models.decide
        table = decided(
            frame,
            self.table.time,
            heads,
            weights or self.settings.head_weights(),
            consensus or self.settings.consensus,
        )
        return replace(table, columns=self.table.columns)

    def context(self, rows: Ints, directions: NDArray[np.int8]) -> Context:
        """Return the context of entries."""
        return self._context.of(rows, directions)

    @cached_property
    def _context(self) -> KnownContext:
        return KnownContext(self.table, self.settings)


def material_of(
    result: Evaluation,
    settings: Settings,
    venue: Venue,
    *,
    models: Decider | None = None,
    measured: bool = False,
    start: int | None = None,
    end: int | None = None,
    startup: int = 0,
) -> Material:
    """Keep of an evaluation what runs over a span of its candles need.

    Parameters
    ----------
    result : Evaluation
    settings : Settings
    venue : Venue
        Its funding has one value per candle of the evaluation.
    models : Decider, optional
        The trained models whose predictions are in the evaluation.
    measured : bool, default False
        Whether they measure the confidence of signals too (spec C12).
    start, end : int, optional
        Opening time of the first and of the last candle, milliseconds since the epoch.
    startup : int, default 0
        Candles at the beginning of the history that give no signal [candles].
    """
    candles = result.market.candles
    first = 0 if start is None else int(np.searchsorted(candles.time, start))
    first = min(max(first, startup), len(candles))
    last = len(candles) if end is None else int(np.searchsorted(candles.time, end, side="right"))
    span = slice(first, max(first, last))
    frame = pd.DataFrame(publish(result)).iloc[span].reset_index(drop=True)
    # Market columns beside the candles, which the strategy's frame holds too.
    frame = frame.assign(close=candles.close[span])
    cut = candles.head(span.stop).tail(first)
    heads = tuple(result.votes)
    decided = decide if models is None else models.decide
    table = decided(frame, cut.time, heads, settings.head_weights(), settings.consensus)
    kept = models if measured or _models_decide(settings) else None
    votes = [f"{kind}_{head}" for head in heads for kind in ("vote", "confidence", "reason")]
    funding = None if venue.funding is None else venue.funding[span]
    return Material(
        pair=result.market.pair,
        candles=cut,
        table=table,
        tradable=frame["tradable"].to_numpy(dtype=np.bool_),
        venue=replace(venue, funding=funding),
        settings=settings,
        frame=frame[[*votes, *DECIDED_FROM]] if kept is None else frame,
        models=kept,
        reference=result.market.context.get(settings.guards.system.reference),
    )


def _models_decide(settings: Settings) -> bool:
    """Tell whether models decide more than the votes that are in the columns already."""
    consensus, sized = settings.consensus, settings.sizing.method == "elite"
    judged = settings.learning.meta.enabled and (settings.learning.meta.confidence or sized)
    return consensus.calibrated or consensus.weights == "outcomes" or judged
