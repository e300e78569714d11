"""Trained models: whole, of this timeframe, and not too old."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from quorum.candles import DAY_MS
from quorum.doctor.base import Finding, Level, Setup
from quorum.errors import QuorumError
from quorum.learning.manifest import (
    ChainManifest,
    VintageManifest,
    differences_of,
    library_versions,
)
from quorum.learning.requirements import expected_models
from quorum.learning.store import ModelStore


def models(setup: Setup) -> Iterator[Finding]:
    """Read every file of the chain in use, and compare it with the set-up."""
    learning = setup.settings.learning
    root = learning.store(setup.user_data)
    if not learning.enabled:
        yield Finding(Level.OK, "the models are switched off", "quorum.learning.enabled = False")
        return
    store = ModelStore(root)
    try:
        chain = store.current()
        if chain is None:
            yield Finding(
                Level.HINT,
                "no models are in use: the heads that need them abstain",
                str(root),
                "quorum train",
            )
            return
        vintages = [store.verify(key) for key in chain.vintages]
    except (QuorumError, OSError) as error:
        yield Finding(
            Level.PROBLEM,
            f"the models cannot be used: {error}",
            str(root),
            "`quorum models` to roll back, or `quorum train`",
        )
        return
    yield from _fits(setup, chain, vintages, str(root))


def _fits(
    setup: Setup, chain: ChainManifest, vintages: list[VintageManifest], root: str
) -> Iterator[Finding]:
    newest = vintages[-1]
    where = f"{root}: chain {chain.id}, newest vintage {newest.key}"
    trained = f"{datetime.fromtimestamp(newest.cut_off / 1000, tz=UTC):%Y-%m-%d}"
    troubles = [*_differs(setup, vintages, where), *_is_old(setup, newest, trained, where)]
    yield from troubles
    yield from _unlike(setup, newest, where)
    if not troubles:
        yield Finding(
            Level.OK, f"{len(chain.vintages)} vintages, whole, trained until {trained}", where
        )


def _differs(setup: Setup, vintages: list[VintageManifest], where: str) -> Iterator[Finding]:
    """Find what the strategy itself refuses the models for when it starts (spec M13)."""
    timeframe = setup.strategy.values.get("timeframe") if setup.strategy else None
    timeframe = str(timeframe or setup.value("timeframe", "1h"))
    differences = differences_of(vintages, expected_models(setup.settings, timeframe, setup.pairs))
    if differences:
        yield Finding(
            Level.PROBLEM,
            f"the models do not fit and are refused: {'; '.join(differences)}",
            where,
            "quorum train, or restore what they were trained with",
        )


def _is_old(setup: Setup, newest: VintageManifest, trained: str, where: str) -> Iterator[Finding]:
    age = (1000 * setup.now - newest.valid_from) / DAY_MS
    if age > min(setup.limits.model_age, setup.settings.learning.max_age_days):
        silent = age > setup.settings.learning.max_age_days
        yield Finding(
            Level.PROBLEM if silent else Level.WARNING,
            f"the newest models are {age:.0f} days old and know nothing after {trained}"
            + (": they no longer vote" if silent else ""),
            where,
            "quorum train, or `quorum train --watch` beside the bot",
        )


def _unlike(setup: Setup, newest: VintageManifest, where: str) -> Iterator[Finding]:
    """Find what the models can live with, but were not trained with."""
    here = library_versions()
    moved = [
        f"{name} {made} then, {here.get(name, 'not installed')} now"
        for name, made in newest.libraries.items()
        if here.get(name) != made and name != "freqtrade-quorum"
    ]
    if moved:
        yield Finding(
            Level.HINT,
            "libraries have changed since the training",
            ", ".join(moved),
            "quorum train",
        )
