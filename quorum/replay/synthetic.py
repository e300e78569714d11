"""A synthetic market in freqtrade's on-disk layout, with known regimes.

Prices are simulated in steps of five minutes and aggregated, so candles of all timeframes agree:

    log price = beta * market factor + idiosyncratic part + liquidation dislocation

The market factor follows a Markov chain of eight regimes (``quorum.replay.regimes``) with drift,
volatility and, in ranges, a pull to the middle; volatility clusters (GARCH), has fat tails
(Student t) and follows the trading sessions. Volume follows volatility, premium and
funding follow the crowd, open interest grows with the crowd and falls in liquidation cascades.
``mode = "random_walk"`` switches all of it off but the fat tails and the common factor: no rule
can earn anything there. The same settings always give the same files.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from quorum.candles import TIMEFRAMES
from quorum.replay.coin import (
    CoinPath,
    CoinSettings,
    CrowdSettings,
    VolumeSettings,
    coin_frames,
    simulate_coin,
)
from quorum.replay.crowd_records import RecordsSettings, derivatives_frame, sentiment_frame
from quorum.replay.factor import (
    VolatilitySettings,
    hourly_grid,
    random_walk_conditions,
    regime_conditions,
)
from quorum.replay.folder import publish
from quorum.replay.link import DERIVATIVES, SENTIMENT
from quorum.replay.regimes import REGIMES, Regimes, regime_path
from quorum.replay.sessions import SessionSettings
from quorum.section import Section

logger = logging.getLogger(__name__)

#: Raised whenever the same settings give other files.
GENERATOR_VERSION = 1
MANIFEST = "market.json"
TRUTH = "regimes.feather"

#: Typical coins: price, sensitivity to the market, own noise and turnover.
COINS: dict[str, CoinSettings] = {
    "BTC": CoinSettings(price=46_200.0, beta=0.90, idiosyncratic=0.25, turnover=1.2e10),
    "ETH": CoinSettings(price=3_680.0, beta=1.05, idiosyncratic=0.45, turnover=6e9),
    "SOL": CoinSettings(price=170.0, beta=1.40, idiosyncratic=1.00, turnover=1.5e9),
    "BNB": CoinSettings(price=511.0, beta=0.90, idiosyncratic=0.70, turnover=8e8),
    "XRP": CoinSettings(price=0.83, beta=1.05, idiosyncratic=1.00, turnover=1e9),
    "ADA": CoinSettings(price=1.31, beta=1.15, idiosyncratic=0.75, turnover=6e8),
    "DOT": CoinSettings(price=26.7, beta=1.20, idiosyncratic=0.75, turnover=3e8),
    "LINK": CoinSettings(price=19.6, beta=1.20, idiosyncratic=0.80, turnover=4e8),
    "TRX": CoinSettings(price=0.0755, beta=0.70, idiosyncratic=0.70, turnover=2e8),
    "BCH": CoinSettings(price=430.0, beta=1.10, idiosyncratic=0.80, turnover=3e8),
}


class SyntheticSettings(Section):
    """A synthetic market; the defaults are the embedded market of ``make demo``."""

    mode: Literal["regimes", "random_walk"] = Field(
        "regimes", description="known regimes, or no structure at all"
    )
    seed: int = Field(7, ge=0, lt=2**32, description="seed of all random numbers")
    start: date = Field(date(2022, 1, 1), description="first day [UTC]")
    end: date = Field(date(2025, 1, 1), description="day after the last one [UTC]")
    bases: tuple[str, ...] = Field(
        ("BTC", "ETH", "SOL", "BNB", "XRP"),
        min_length=1,
        max_length=100,
        description="base currencies of the pairs",
    )
    quote: Literal["USDT"] = Field("USDT", description="quote and settlement currency")
    timeframes: tuple[str, ...] = Field(
        ("1h", "4h", "1d"), min_length=1, description="timeframes written, from 5m to 1d"
    )
    coins: dict[str, CoinSettings] = Field(
        default_factory=dict, description="coins that differ from the built-in ones, by base"
    )
    volatility: VolatilitySettings = Field(
        VolatilitySettings(), description="clustering and tails of returns"
    )
    sessions: SessionSettings = Field(SessionSettings(), description="busy and quiet hours")
    volume: VolumeSettings = Field(VolumeSettings(), description="how volume follows price")
    crowd: CrowdSettings = Field(
        CrowdSettings(), description="premium, funding, open interest and liquidations"
    )
    regimes: Regimes = Field(Regimes(), description="what the market does in each regime")
    records: RecordsSettings = Field(
        RecordsSettings(), description="records files beside the candles"
    )

    @field_validator("bases")
    @classmethod
    def _names_of_coins(cls, bases: tuple[str, ...]) -> tuple[str, ...]:
        for base in bases:
            if not (base.isalnum() and base.isascii() and base == base.upper()):
                raise ValueError(f"{base!r} is no base currency (capitals and digits only)")
        if len(set(bases)) != len(bases):
            raise ValueError("a base currency appears twice")
        return bases

    @field_validator("timeframes")
    @classmethod
    def _multiples_of_the_step(cls, timeframes: tuple[str, ...]) -> tuple[str, ...]:
        for timeframe in timeframes:
            length = TIMEFRAMES.get(timeframe, 0)
            if not TIMEFRAMES["5m"] <= length <= TIMEFRAMES["1d"]:
                raise ValueError(f"{timeframe!r} is not among 5m, 15m, 30m, 1h, 2h, 4h, 1d")
        return timeframes

    @model_validator(mode="after")
    def _span(self) -> Self:
        days = (self.end - self.start).days
        if not 1 <= days <= 3660:
            raise ValueError(f"start to end is {days} days, must be 1 to 3660")
        return self

    @property
    def n_hours(self) -> int:
        """Length of the market in hours."""
        return (self.end - self.start).days * 24

    def coin(self, base: str) -> CoinSettings:
        """Return the settings of one coin."""
        return self.coins.get(base) or COINS.get(base) or CoinSettings()


def make_market(
    settings: SyntheticSettings,
    target: Path,
    progress: Callable[[str], None] | None = None,
) -> bool:
    """Write a synthetic market into ``target``, a freqtrade data directory.

    Beside the candles lies ``regimes.feather`` (hour, name of the regime; not for a random
    walk), the records files of ``quorum.records``, and ``market.json``, by which an existing
    identical market is reused.

    Parameters
    ----------
    settings : SyntheticSettings
    target : Path
        Missing, empty, or a synthetic market (which is replaced).
    progress : callable, optional
        Is told what is being made.

    Returns
    -------
    bool
        False if the identical market was there already.

    Raises
    ------
    DataError
        If ``target`` holds other files or cannot be written.
    """
    manifest = json.loads(
        json.dumps({"version": GENERATOR_VERSION, "settings": settings.model_dump(mode="json")})
    )

    def build(folder: Path) -> None:
        (folder / "futures").mkdir()
        for name, frame in market_frames(settings, progress):
            frame.to_feather(folder / name, compression="lz4")

    made = publish(target, MANIFEST, manifest, build)
    logger.info("Synthetic market %s: %s", "written" if made else "reused", target)
    return made


def market_frames(
    settings: SyntheticSettings, progress: Callable[[str], None] | None = None
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Simulate the market and yield its files, by path inside the data directory."""
    hours = hourly_grid(pd.Timestamp(settings.start, tz="UTC"), settings.n_hours)
    rng = _stream(settings, "market")
    if settings.mode == "regimes":
        regime = regime_path(settings.regimes, settings.n_hours, rng)
        names = np.asarray(REGIMES, dtype=object)[regime]
        yield TRUTH, pd.DataFrame({"date": hours, "regime": names})
        conditions = regime_conditions(
            hours, regime, settings.regimes, settings.volatility, settings.sessions
        )
    else:
        conditions = random_walk_conditions(hours, settings.regimes, settings.volatility)
    factor = conditions.diffuse(rng)
    paths: dict[str, CoinPath] = {}
    for base in settings.bases:
        if progress is not None:
            progress(f"{base}/{settings.quote}")
        coin, own = settings.coin(base), _stream(settings, base)
        path = simulate_coin(coin, conditions, factor, own, settings.volume, settings.crowd)
        yield from coin_frames(
            base,
            settings.quote,
            coin,
            conditions,
            path,
            own,
            settings.volume,
            settings.crowd,
            settings.timeframes,
        )
        paths[base] = path
    if settings.records.write:
        said = _stream(settings, "records")
        yield SENTIMENT, sentiment_frame(conditions.dates, paths, said, settings.records)
        yield DERIVATIVES, derivatives_frame(conditions.dates, paths, said, settings.records)


def _stream(settings: SyntheticSettings, name: str) -> np.random.Generator:
    """Return the random numbers of one part: the same whatever other pairs there are."""
    seed = np.random.SeedSequence([settings.seed, zlib.crc32(name.encode())])
    return np.random.Generator(np.random.PCG64(seed))
