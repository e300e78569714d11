"""Prediction: every candle by the models that were live when it closed (spec M7)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from quorum.candles import DAY_MS, timeframe_ms
from quorum.consensus import DECIMALS, GRACE, Band, ConsensusSettings, bands
from quorum.errors import DataError
from quorum.features import Features
from quorum.features.predictions import AGE
from quorum.learning.dataset import feature_names
from quorum.learning.inputs import MarketInputs
from quorum.learning.manifest import ChainManifest, Expected, differences_of
from quorum.learning.settings import LearningSettings
from quorum.learning.signal_rows import signal_columns, signal_rows
from quorum.learning.store import ModelStore
from quorum.learning.vintage import (
    LoadedVintage,
    VintageFiles,
    calibrated_confidence,
    weights_by_outcome,
)
from quorum.market import Market
from quorum.signals import SignalTable, decide, read_votes
from quorum.typing import Bools, Floats, Ints

logger = logging.getLogger(__name__)

#: Candles of a pair whose predictions a running bot keeps.
REMEMBERED = 5000


def live_vintage(valid_from: Ints, at: Ints, max_age_ms: float) -> Ints:
    """Return for each moment the place of the vintage that is live then, -1 for none.

    Parameters
    ----------
    valid_from : ndarray of shape (n_vintages,), int64
        Ascending, ms.
    at : ndarray of shape (n,), int64
    max_age_ms : float
    """
    place = np.searchsorted(valid_from, at, side="right") - 1
    if len(valid_from) == 0:
        return place
    age = at - valid_from[np.maximum(place, 0)]
    return np.where((place >= 0) & (age <= max_age_ms), place, -1)


class Models:
    """The models a strategy uses: the store's current chain, read again when it is swapped.

    Parameters
    ----------
    store : ModelStore or sequence of LoadedVintage
        A sequence is used as it is, for example while its meta-models are still to be trained.
    settings : LearningSettings
    timeframe : str
        Base timeframe of the strategy.
    expected : Expected, optional
        What every vintage must have been trained with (spec M13); anything goes without it.
    remember : bool, default False
        Keep the predictions of candles that have been predicted: a live bot asks for the same
        history again at every candle. A causality test must not.
    """

    def __init__(
        self,
        store: ModelStore | Sequence[LoadedVintage],
        settings: LearningSettings,
        timeframe: str,
        *,
        expected: Expected | None = None,
        remember: bool = False,
    ) -> None:
        self.settings = settings
        self.timeframe = timeframe
        self._expected = expected
        self._refused: str | None = None
        self._strangers: set[str] = set()
        self._store = store if isinstance(store, ModelStore) else None
        self._vintages: tuple[LoadedVintage, ...] = ()
        self._chain: ChainManifest | None = None
        if self._store is None:
            self._vintages = tuple(store)  # type: ignore[arg-type]
        self._remember = remember
        self._known: dict[str, tuple[Ints, dict[str, Floats]]] = {}

    @property
    def vintages(self) -> tuple[LoadedVintage, ...]:
        """The vintages of the chain that is in use now, oldest first; empty without one.

        A chain that appears while this process runs and does not fit is told once and not taken
        up: the chain before it stays.

        Raises
        ------
        DataError
            If the chain is damaged or of another format.
        """
        known = None if self._chain is None else self._chain.id
        # Asked several times per candle: the id of the chain in use is one short file.
        if self._store is not None and self._store.current_id() not in (known, self._refused):
            chain, vintages, differences = self._read()
            if differences:
                assert chain is not None
                self._refused = chain.id
                stays = "no model votes" if known is None else f"chain {known} stays in use"
                logger.warning("%s; %s", misfit(chain.id, differences), stays)
            else:
                self._adopt(chain, vintages)
        return self._vintages

    def require(self) -> None:
        """Refuse a chain that does not fit; to be asked before the first candle (spec M13).

        Raises
        ------
        DataError
            Naming what differs, with both values; or if the chain is damaged.
        """
        if self._store is None:
            return
        chain, vintages, differences = self._read()
        if chain is not None and differences:
            raise DataError(f"{self._store.root}: {misfit(chain.id, differences)}")
        self._adopt(chain, vintages)

    def _read(self) -> tuple[ChainManifest | None, tuple[LoadedVintage, ...], list[str]]:
        """Return the store's chain, its vintages, and what does not fit of them."""
        assert self._store is not None
        chain = self._store.current()
        vintages = load_vintages(self._store, chain.vintages if chain else ())
        if self._expected is None:
            return chain, vintages, []
        return chain, vintages, differences_of([v.manifest for v in vintages], self._expected)

    def _adopt(self, chain: ChainManifest | None, vintages: tuple[LoadedVintage, ...]) -> None:
        self._chain, self._vintages = chain, vintages
        self._known.clear()
        if chain is not None:
            logger.info("Models of chain %s, %d vintages", chain.id, len(vintages))

    @property
    def chain(self) -> ChainManifest | None:
        """The chain in use, None without one."""
        return self._chain if self.vintages else None

    def live(self, at: Ints) -> Ints:
        """Return the place of the vintage that is live at each moment, -1 for none."""
        starts = np.array([v.manifest.valid_from for v in self._vintages], dtype=np.int64)
        return live_vintage(starts, at, self.settings.max_age_days * DAY_MS)

    def add_predictions(self, market: Market, features: Features) -> None:
        """Add the prediction columns; none where there is no chain.

        Rows that are not tradable, rows before the first vintage, and pairs that a vintage was
        not trained with are NaN.

        Raises
        ------
        DataError
            If the models were trained on other features, naming what differs.
        """
        vintages = self.vintages
        if not vintages:
            return
        names = feature_names(features)
        self._require(names)
        at = market.close_time
        place = self.live(at)
        place = np.where(
            market.tradable & (place >= 0) & self._knows(market.pair)[place], place, -1
        )
        out = self._recall(market.pair, at, place)
        for i in np.unique(place[place >= 0]):
            rows = np.flatnonzero(place == i)
            inputs = MarketInputs(market, features, names, rows)
            for name, values in vintages[i].predict(inputs).items():
                out.setdefault(name, np.full(len(at), np.nan))[rows] = values
        if self._remember:
            self._known[market.pair] = (
                at[-REMEMBERED:],
                {n: v[-REMEMBERED:] for n, v in out.items()},
            )
        place = self.live(at)
        starts = np.array([v.manifest.valid_from for v in vintages], dtype=np.float64)
        out[AGE] = np.where(place >= 0, (at - starts[place]) / DAY_MS, np.nan)
        for name, values in out.items():
            features.add(name, values, scale_free=False)

    def decide(
        self,
        frame: pd.DataFrame,
        time: Ints,
        heads: Sequence[str],
        weights: Mapping[str, float] | Floats,
        consensus: ConsensusSettings,
    ) -> SignalTable:
        """Turn published columns into signals with what was known of the heads by then.

        See :func:`quorum.signals.decide`. Where the settings ask for it, weights follow the
        outcomes of past votes (C11), and confidences are read as hit rates.
        """
        confidence: Floats | None = None
        vintages = self.vintages
        if vintages and (consensus.calibrated or consensus.weights == "outcomes"):
            place = self.live(time + timeframe_ms(self.timeframe))
            if consensus.weights == "outcomes":
                weights = weights_by_outcome(vintages, place, heads, weights)
            if consensus.calibrated:
                stated = read_votes(frame, heads).confidence
                confidence = calibrated_confidence(vintages, place, heads, stated)
        table = decide(frame, time, heads, weights, consensus, confidence=confidence)
        return self.judge(table, consensus)

    def judge(self, table: SignalTable, consensus: ConsensusSettings) -> SignalTable:
        """Return the table with what the meta-model of each moment expects of its entries.

        With ``meta.confidence`` its probability, brought to even odds, also takes the place of
        the consensus confidence: an entry's band, size and gate follow from it.

        Raises
        ------
        DataError
            If the meta-model learned from other heads.
        """
        vintages = self.vintages
        rows = np.flatnonzero(table.entry)
        if not vintages or not self.settings.meta.enabled:
            return table
        n = len(table.time)
        win_rate, expected, even = (np.full(n, np.nan) for _ in range(3))
        place = self.live(table.time[rows] + timeframe_ms(self.timeframe))
        names = signal_columns(table.votes.heads)
        for i in np.unique(place[place >= 0]):
            own = rows[place == i]
            promise = vintages[i].promise(signal_rows(table, own), names)
            if promise is not None:
                win_rate[own], expected[own] = promise.win_rate, promise.expected_r
                even[own] = promise.even_odds
        judged = replace(table, win_rate=win_rate, expected_r=expected)
        if self.settings.meta.confidence:
            return _resized(judged, even, consensus)
        return judged

    def _knows(self, pair: str) -> Bools:
        """Return which vintages were trained with a pair; one that none knows is told once."""
        knows: Bools = np.array([pair in v.manifest.pairs for v in self._vintages])
        if not knows.any() and pair not in self._strangers:
            self._strangers.add(pair)
            logger.warning(
                "%s was not among the pairs the models were trained with: none votes on it", pair
            )
        return knows

    def _recall(self, pair: str, at: Ints, place: Ints) -> dict[str, Floats]:
        """Return what is remembered of these moments, and take them off what is to be done."""
        if not self._remember or pair not in self._known:
            return {}
        times, known = self._known[pair]
        where = np.searchsorted(times, at)
        found = (where < len(times)) & (times[np.minimum(where, len(times) - 1)] == at)
        source = where[found]
        out = {}
        for name, values in known.items():
            out[name] = np.full(len(at), np.nan)
            out[name][found] = values[source]
        done = found.copy()
        done[found] = np.isfinite(next(iter(known.values()))[source])
        place[done] = -1
        return out

    def _require(self, names: tuple[str, ...]) -> None:
        """Refuse vintages of other features than those of a market."""
        manifests = [v.manifest for v in self._vintages]
        if all(manifest.features == names for manifest in manifests):
            return
        differences = differences_of(manifests, Expected(names, self.timeframe))
        raise DataError(misfit(manifests[-1].key, differences))


def misfit(name: str, differences: Sequence[str]) -> str:
    """Return what to say of models that were trained with something else than is in force."""
    return (
        f"the models of {name} do not fit: {'; '.join(differences)}; train again with "
        "`quorum train`, or restore what they were trained with"
    )


def _resized(table: SignalTable, even: Floats, settings: ConsensusSettings) -> SignalTable:
    """Return the table with the even-odds probability as confidence where it is known."""
    known = np.isfinite(even)
    confidence = np.where(known, np.round(even, DECIMALS), table.consensus.confidence)
    band = bands(confidence, settings)
    passes = (band > Band.INSUFFICIENT) & (confidence >= settings.gate - GRACE)
    return replace(
        table,
        entry=np.where(passes, table.entry, 0).astype(np.int8),
        band=band,
        consensus=replace(table.consensus, confidence=confidence),
    )


def load_vintages(store: ModelStore, keys: Sequence[str]) -> tuple[LoadedVintage, ...]:
    """Return stored vintages; their models are read when they are needed.

    Raises
    ------
    DataError
        If one is missing.
    """
    found = []
    for key in keys:
        manifest = store.find(key)
        if manifest is None:
            raise DataError(f"{store.root}: vintage {key} is missing")
        found.append(LoadedVintage(manifest, VintageFiles(store, manifest)))
    return tuple(found)
