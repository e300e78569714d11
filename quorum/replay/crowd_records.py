"""Records files of a synthetic market: what the outside world says about its crowd.

A daily fear-and-greed score of the whole market, and per coin each hour the long/short ratio, the
takers' share of buying and, where there were any, the liquidations. Nothing is known before it
happened. In a random walk they are noise.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from pydantic import Field

from quorum.replay.coin import CoinPath
from quorum.replay.factor import STEPS_PER_DAY, STEPS_PER_HOUR
from quorum.section import Section
from quorum.typing import Floats


class RecordsSettings(Section):
    """How clearly the records show the crowd."""

    write: bool = Field(True, description="write sentiment.feather and derivatives.feather")
    greed: float = Field(0.9, ge=0, le=1, description="fear-and-greed score of a full lean")
    greed_noise: float = Field(0.12, ge=0, le=1, description="noise of that score")
    accounts: float = Field(
        1.3, gt=0, le=100, description="accounts long per account short without a lean"
    )
    accounts_lean: float = Field(0.5, ge=0, le=5, description="log ratio added by a full lean")
    accounts_noise: float = Field(0.1, ge=0, le=5, description="noise of the log ratio")
    taker: float = Field(
        0.03, ge=0, le=0.5, description="taker share added by a typical hourly move"
    )
    taker_noise: float = Field(0.02, ge=0, le=0.5, description="noise of the taker share")
    liquidated: float = Field(
        0.15, ge=0, le=1, description="liquidations in a cascade [share of volume]"
    )


def sentiment_frame(
    dates: pd.DatetimeIndex,
    paths: Mapping[str, CoinPath],
    rng: np.random.Generator,
    settings: RecordsSettings,
) -> pd.DataFrame:
    """Return the fear-and-greed records: at midnight, from the lean of the day before."""
    lean = np.mean([path.crowd for path in paths.values()], axis=0)
    day = lean.reshape(-1, STEPS_PER_DAY).mean(axis=1)[:-1]
    score = settings.greed * day + settings.greed_noise * rng.standard_normal(len(day))
    # The index is a whole number from 0 to 100.
    score = np.round(np.clip(score, -1.0, 1.0) * 50.0) / 50.0
    return pd.DataFrame(
        {
            "known_at": dates[STEPS_PER_DAY::STEPS_PER_DAY],
            "source": "fear_greed",
            "score": score,
            "weight": 1.0,
        }
    )


def derivatives_frame(
    dates: pd.DatetimeIndex,
    paths: Mapping[str, CoinPath],
    rng: np.random.Generator,
    settings: RecordsSettings,
) -> pd.DataFrame:
    """Return the derivatives records of all coins, each known when its hour ends."""
    known_at = dates[STEPS_PER_HOUR::STEPS_PER_HOUR]
    parts = []
    for base, path in paths.items():
        for kind, values in _hourly(path, rng, settings).items():
            said = values[:-1] != 0.0 if kind == "liquidations" else np.ones(len(known_at), bool)
            parts.append(
                pd.DataFrame(
                    {
                        "known_at": known_at[said],
                        "pair": base,
                        "kind": kind,
                        "value": values[:-1][said],
                    }
                )
            )
    return pd.concat(parts).sort_values("known_at", kind="stable", ignore_index=True)


def _hourly(
    path: CoinPath, rng: np.random.Generator, settings: RecordsSettings
) -> dict[str, Floats]:
    """Return each kind of record at the end of every hour."""
    ends = slice(STEPS_PER_HOUR - 1, None, STEPS_PER_HOUR)
    lean = path.crowd[ends]
    n = len(lean)
    ratio = settings.accounts_lean * lean + settings.accounts_noise * rng.standard_normal(n)
    move = np.diff(path.price[ends], prepend=path.price[0])
    pressure = settings.taker * np.tanh(move / np.std(move)) if path.structured else np.zeros(n)
    share = 0.5 + pressure + settings.taker_noise * rng.standard_normal(n)
    forced = np.where(path.forced, path.volume, 0.0) * -np.sign(path.crowd)
    liquidated = settings.liquidated * forced.reshape(-1, STEPS_PER_HOUR).sum(axis=1)
    return {
        "long_short_ratio": np.round(settings.accounts * np.exp(ratio), 4),
        "taker_buy_share": np.round(np.clip(share, 0.0, 1.0), 4),
        "liquidations": np.round(liquidated, 0),
    }
