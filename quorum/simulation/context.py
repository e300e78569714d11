"""What the market around many entries does to them: the adjusters' effects as arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quorum.context.zones import IMMEDIATE, LIMIT_ORDER, WAIT_PULLBACK
from quorum.settings import Settings
from quorum.signals import SignalTable
from quorum.typing import Floats, Ints

#: How an entry waits for its price, by code.
STRATEGIES = (IMMEDIATE, WAIT_PULLBACK, LIMIT_ORDER)


@dataclass(frozen=True)
class Context:
    """The effects of every enabled adjuster on every entry.

    Attributes
    ----------
    adjusters : tuple of str
        In the order in which they act.
    factor, confidence, stop_factor : ndarray of shape (n_adjusters, n_entries), float64
        On the size, on the confidence, on the distance of the stop; 1 does nothing.
    strategy : ndarray of shape (n_adjusters, n_entries), int8
        Place in ``STRATEGIES``.
    veto : ndarray of shape (n_adjusters, n_entries), int16
        Place in ``vetoes``, 0 for none.
    vetoes : tuple of str
        Reason codes; the first is empty.
    """

    adjusters: tuple[str, ...]
    factor: Floats
    confidence: Floats
    stop_factor: Floats
    strategy: NDArray[np.int8]
    veto: NDArray[np.int16]
    vetoes: tuple[str, ...]

    def without(self, adjuster: str) -> Context:
        """Return the context as it is with one adjuster off."""
        kept = [i for i, name in enumerate(self.adjusters) if name != adjuster]
        return replace(
            self,
            adjusters=tuple(self.adjusters[i] for i in kept),
            factor=self.factor[kept],
            confidence=self.confidence[kept],
            stop_factor=self.stop_factor[kept],
            strategy=self.strategy[kept],
            veto=self.veto[kept],
        )

    def take(self, entries: Ints) -> Context:
        """Return the context of some of the entries."""
        return replace(
            self,
            factor=self.factor[:, entries],
            confidence=self.confidence[:, entries],
            stop_factor=self.stop_factor[:, entries],
            strategy=self.strategy[:, entries],
            veto=self.veto[:, entries],
        )

    def joined(self, other: Context) -> Context:
        """Return the context of these entries and then of others, by the same adjusters."""
        vetoes = tuple(dict.fromkeys((*self.vetoes, *other.vetoes)))
        own, new = (
            np.array([vetoes.index(veto) for veto in part.vetoes], np.int16)[part.veto]
            for part in (self, other)
        )
        return Context(
            self.adjusters,
            np.hstack([self.factor, other.factor]),
            np.hstack([self.confidence, other.confidence]),
            np.hstack([self.stop_factor, other.stop_factor]),
            np.hstack([self.strategy, other.strategy]),
            np.hstack([own, new]),
            vetoes,
        )

    def boosted(self, confidence: Floats) -> Floats:
        """Return the confidence that sizing sees, from the consensus confidence."""
        for factor in self.confidence:
            confidence = np.minimum(1.0, confidence * factor)
        return confidence

    def first_veto(self) -> NDArray[np.int16]:
        """Return the first veto of every entry, shape (n_entries,)."""
        veto = np.zeros(self.veto.shape[1], np.int16)
        for codes in self.veto:
            veto = np.where(veto == 0, codes, veto)
        return veto

    def stops(self) -> Floats:
        """Return the factor on the distance of the stop, shape (n_entries,)."""
        product: Floats = np.prod(self.stop_factor, axis=0)
        return product

    def strategies(self) -> NDArray[np.int8]:
        """Return the entry strategy, shape (n_entries,)."""
        strategy: NDArray[np.int8] = self.strategy.max(axis=0, initial=0)
        return strategy


def read_context(
    table: SignalTable, rows: Ints, directions: NDArray[np.int8], settings: Settings
) -> Context:
    """Ask every enabled adjuster for its effect on every entry.

    Parameters
    ----------
    table : SignalTable
        Only its columns are read.
    rows : ndarray of shape (n_entries,), int64
    directions : ndarray of shape (n_entries,), int8
    settings : Settings
    """
    adjusters = settings.enabled_adjusters()
    shape = (len(adjusters), len(rows))
    factor, confidence, stop = np.ones(shape), np.ones(shape), np.ones(shape)
    strategy, veto = np.zeros(shape, np.int8), np.zeros(shape, np.int16)
    vetoes = [""]
    sides = directions.tolist()
    for i, adjuster in enumerate(adjusters):
        names = adjuster.published
        columns = [table.columns[name][rows].tolist() for name in names]
        for j, values in enumerate(zip(*columns, strict=True)):
            effect = adjuster.effect(dict(zip(names, values, strict=True)), sides[j])
            if effect.reasons:
                factor[i, j] = math.prod(effect.reasons.values())
            confidence[i, j] = effect.confidence
            stop[i, j] = effect.facts.get("stop_factor", 1.0)
            way = effect.facts.get("entry_strategy", IMMEDIATE)
            if way != IMMEDIATE:
                strategy[i, j] = STRATEGIES.index(way)
            if effect.veto:
                if effect.veto not in vetoes:
                    vetoes.append(effect.veto)
                veto[i, j] = vetoes.index(effect.veto)
    names_of = tuple(adjuster.name for adjuster in adjusters)
    return Context(names_of, factor, confidence, stop, strategy, veto, tuple(vetoes))


class KnownContext:
    """The context of the entries of one pair; each is asked for once.

    Parameters
    ----------
    table : SignalTable
    settings : Settings
    """

    def __init__(self, table: SignalTable, settings: Settings) -> None:
        self._table, self._settings = table, settings
        self._place = np.full((2, len(table.time)), -1, np.int64)
        self._found: Context | None = None

    def of(self, rows: Ints, directions: NDArray[np.int8]) -> Context:
        """Return the context of entries, see :func:`read_context`."""
        side = (directions < 0).astype(np.int64)
        new = np.flatnonzero(self._place[side, rows] < 0)
        if self._found is None or len(new):
            known = 0 if self._found is None else self._found.factor.shape[1]
            read = read_context(self._table, rows[new], directions[new], self._settings)
            self._found = read if self._found is None else self._found.joined(read)
            self._place[side[new], rows[new]] = known + np.arange(len(new))
        return self._found.take(self._place[side, rows])
