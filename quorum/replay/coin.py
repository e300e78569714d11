"""One coin of a synthetic market: perpetual, spot, mark, funding and open interest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import Field

from quorum.candles import TIMEFRAMES
from quorum.replay.factor import STEP_MS, STEPS_PER_DAY, STEPS_PER_HOUR, Conditions
from quorum.replay.paths import Crowding, autoregress, liquidate
from quorum.section import Section
from quorum.typing import Bools, Floats

STEPS_PER_FUNDING = 8 * STEPS_PER_HOUR


class CoinSettings(Section):
    """What makes one coin differ from another."""

    price: float = Field(10.0, gt=0, le=1e9, description="first price [quote]")
    beta: float = Field(1.1, ge=-5, le=5, description="sensitivity to the market factor")
    idiosyncratic: float = Field(
        0.8, ge=0, le=10, description="own volatility [volatility of the market factor]"
    )
    turnover: float = Field(3e8, gt=0, le=1e15, description="traded value [quote per day]")
    open_interest: float = Field(
        0.25, gt=0, le=100, description="typical open interest [turnover of a day]"
    )


class VolumeSettings(Section):
    """How volume follows volatility and price."""

    elasticity: float = Field(
        1.2, ge=0, le=5, description="power of the volatility that volume rises with"
    )
    move: float = Field(0.8, ge=0, le=1, description="share of volume that needs a price move")
    trend: float = Field(
        0.2, ge=0, lt=1, description="extra volume of moves with the trend, and less against it"
    )
    noise: float = Field(0.35, ge=0, le=3, description="standard deviation of slow log noise")
    noise_half_life: float = Field(6.0, gt=0, le=1000, description="half-life of slow noise [h]")
    scatter: float = Field(0.35, ge=0, le=3, description="standard deviation of log scatter")
    forced: float = Field(2.5, ge=1, le=100, description="factor in liquidation cascades")
    spot: float = Field(0.35, gt=0, le=10, description="spot volume [volume of the perpetual]")


class CrowdSettings(Section):
    """The leveraged crowd: lean, premium, funding, open interest and liquidations."""

    half_life: float = Field(48, gt=0, le=2000, description="memory of the trend followed [h]")
    scale: float = Field(
        0.7, gt=0, le=100, description="trend that makes a clear lean [typical daily move per day]"
    )
    premium: float = Field(0.0012, ge=0, le=0.1, description="premium of a full lean")
    excess: float = Field(0.016, ge=0, le=1, description="slope of the premium of a crowded side")
    excess_from: float = Field(0.75, ge=0, le=1, description="lean from which a side is crowded")
    premium_noise: float = Field(0.0003, ge=0, le=0.01, description="noise of the premium")
    noise_half_life: float = Field(4.0, gt=0, le=1000, description="half-life of that noise [h]")
    interest: float = Field(0.0001, ge=-0.01, le=0.01, description="interest part of the funding")
    clamp: float = Field(0.0005, ge=0, le=0.01, description="premium that funding does not follow")
    funding_cap: float = Field(0.0075, gt=0, le=0.1, description="largest funding rate")
    trigger: float = Field(
        4.0, gt=0, le=1000, description="move that liquidates [typical hourly moves]"
    )
    push: float = Field(2.0, ge=0, le=100, description="cascade's push [typical hourly moves]")
    cascade: float = Field(0.5, gt=0, le=48, description="length of a cascade [h]")
    recovery: float = Field(6.0, gt=0, le=1000, description="half-life of the push [h]")
    cooldown: float = Field(24.0, ge=0, le=1000, description="distance of cascades [h]")
    loss: float = Field(0.08, ge=0, le=2, description="open interest lost in a cascade [log]")
    growth: float = Field(24.0, gt=0, le=2000, description="half-life of open interest [h]")
    build_up: float = Field(
        0.35, ge=0, le=5, description="open interest added by a full lean [log]"
    )
    wobble: float = Field(0.08, ge=0, le=2, description="noise of open interest [log]")


@dataclass(frozen=True)
class CoinPath:
    """One coin's simulation; arrays have one value per step, at its end.

    Attributes
    ----------
    price, spot : ndarray
        Log prices of the perpetual and of spot.
    deviation : ndarray
        Standard deviation of the step.
    volume : ndarray
        Traded value, in the quote currency.
    premium : ndarray
        Perpetual / spot - 1.
    interest : ndarray
        Log open interest relative to its typical level.
    crowd : ndarray
        Lean of the crowd, -1 (short) to 1 (long).
    forced : ndarray of bool
        Whether positions were closed by force.
    structured : bool
        False for a random walk.
    """

    price: Floats
    spot: Floats
    deviation: Floats
    volume: Floats
    premium: Floats
    interest: Floats
    crowd: Floats
    forced: Bools
    structured: bool


def simulate_coin(
    coin: CoinSettings,
    conditions: Conditions,
    market: tuple[Floats, Floats],
    rng: np.random.Generator,
    volume: VolumeSettings,
    crowd: CrowdSettings,
) -> CoinPath:
    """Simulate one coin on the market factor (its log level and deviation per step)."""
    level, deviation = conditions.diffuse(rng, scale=coin.idiosyncratic, drifting=False)
    total = np.sqrt(np.square(coin.beta * market[1]) + np.square(deviation))
    fair = np.log(coin.price) + coin.beta * market[0] + level
    if not conditions.structured:
        # The price, not its logarithm, is to be worth the same tomorrow.
        fair -= 0.5 * np.cumsum(np.square(total))
    typical = conditions.typical_sigma * float(np.hypot(coin.beta, coin.idiosyncratic))
    n = len(conditions)
    price, lean, interest, forced = liquidate(
        fair,
        rng.standard_normal(n),
        _crowding(crowd, typical, structured=conditions.structured),
    )
    if not conditions.structured:
        lean = np.zeros(n)
    noise = autoregress(rng.standard_normal(n), _persistence(crowd.noise_half_life))
    crowded = np.maximum(np.abs(lean) - crowd.excess_from, 0.0) * np.sign(lean)
    premium = crowd.premium * lean + crowd.excess * crowded + crowd.premium_noise * noise
    return CoinPath(
        price=price,
        spot=price - np.log1p(premium),
        deviation=total,
        volume=_volume(coin, conditions, price, total / typical, forced, rng, volume),
        premium=premium,
        interest=interest,
        crowd=lean,
        forced=forced,
        structured=conditions.structured,
    )


def _crowding(crowd: CrowdSettings, typical: float, *, structured: bool) -> Crowding:
    """Convert the crowd's settings to steps; without structure there is noise only."""
    cascade = max(1, round(crowd.cascade * STEPS_PER_HOUR))
    hourly = np.sqrt(STEPS_PER_HOUR)
    growth = 1.0 - _persistence(crowd.growth)
    return Crowding(
        step_sigma=typical,
        lean_decay=1.0 - _persistence(crowd.half_life),
        lean_scale=crowd.scale / np.sqrt(STEPS_PER_DAY),
        run_decay=1.0 - _persistence(1.0),
        trigger=crowd.trigger * hourly if structured else np.inf,
        cascade_steps=cascade,
        push=crowd.push * hourly / cascade,
        loss=crowd.loss / cascade,
        recovery=1.0 - _persistence(crowd.recovery),
        cooldown=round(crowd.cooldown * STEPS_PER_HOUR) + cascade,
        growth=growth,
        level=crowd.build_up if structured else 0.0,
        wobble=crowd.wobble * float(np.sqrt(2.0 * growth)),
    )


def _persistence(half_life: float) -> float:
    """Return the share a step keeps, for a half-life in hours."""
    return float(0.5 ** (1.0 / (half_life * STEPS_PER_HOUR)))


def _volume(
    coin: CoinSettings,
    conditions: Conditions,
    price: Floats,
    activity: Floats,
    forced: Bools,
    rng: np.random.Generator,
    settings: VolumeSettings,
) -> Floats:
    """Return the traded value per step; in a random walk it tells nothing about the price."""
    n = len(conditions)
    slow = autoregress(rng.standard_normal(n), _persistence(settings.noise_half_life))
    log_noise = settings.noise * slow + settings.scatter * rng.standard_normal(n)
    value: Floats = coin.turnover / STEPS_PER_DAY * np.exp(log_noise)
    if not conditions.structured:
        return value
    change = np.diff(price, prepend=np.log(coin.price))
    move = np.abs(change) / (activity * np.sqrt(np.mean(np.square(change / activity))))
    with_trend = np.sign(change * conditions.drift)
    value *= activity**settings.elasticity
    value *= 1.0 - settings.move + settings.move * move
    value *= 1.0 + settings.trend * with_trend
    value[forced] *= settings.forced
    return value


def coin_frames(
    base: str,
    quote: str,
    coin: CoinSettings,
    conditions: Conditions,
    path: CoinPath,
    rng: np.random.Generator,
    volume: VolumeSettings,
    crowd: CrowdSettings,
    timeframes: Sequence[str],
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the coin's files as freqtrade names them, with their frames."""
    digits = int(np.floor(np.log10(coin.price)))
    price_decimals, volume_decimals = max(0, 5 - digits), max(0, digits - 1)
    perpetual = _bars(path.price, coin.price, path.deviation, path.volume, rng)
    spot_value = path.volume * volume.spot * rng.lognormal(0.0, 0.25, len(conditions))
    spot = _bars(path.spot, coin.price, path.deviation, spot_value, rng)
    pair = f"{base}_{quote}"
    for timeframe in timeframes:
        per_bar = TIMEFRAMES[timeframe] // STEP_MS
        for name, bars in (
            (f"futures/{pair}_{quote}-{timeframe}-futures.feather", perpetual),
            (f"{pair}-{timeframe}.feather", spot),
        ):
            yield name, _candles(conditions.dates, bars, per_bar, price_decimals, volume_decimals)
    futures = f"futures/{pair}_{quote}-1h"
    mark = _mark(path, coin.price)
    frame = _candles(conditions.dates, mark, STEPS_PER_HOUR, price_decimals + 2, 0)
    yield f"{futures}-mark.feather", frame
    yield f"{futures}-funding_rate.feather", _funding(conditions.dates, path.premium, crowd)
    yield f"{futures}-open_interest.feather", _open_interest(conditions.dates, path, coin)


def _bars(
    path: Floats, first: float, deviation: Floats, value: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return open, high, low, close and volume of each step.

    The extremes inside a step are drawn from the law of a Brownian bridge between its ends.
    """
    start = np.concatenate(([np.log(first)], path[:-1]))
    middle = 0.5 * (start + path)
    square = np.square(path - start)
    variance = np.square(deviation)
    up = -2.0 * variance * np.log1p(-rng.random(len(path)))
    down = -2.0 * variance * np.log1p(-rng.random(len(path)))
    high = np.exp(middle + 0.5 * np.sqrt(square + up))
    low = np.exp(middle - 0.5 * np.sqrt(square + down))
    close = np.exp(path)
    return np.exp(start), high, low, close, value / close


def _mark(path: CoinPath, first: float) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return the mark price: spot and the premium's hourly mean, without the last trades' noise."""
    # A decaying mean of the premium is a short memory as exchanges use it.
    window = np.minimum(np.arange(1, len(path.premium) + 1), STEPS_PER_HOUR)
    total = np.cumsum(path.premium)
    total[STEPS_PER_HOUR:] -= np.cumsum(path.premium)[:-STEPS_PER_HOUR]
    mark = np.exp(path.spot) * (1.0 + total / window)
    start = np.concatenate(([first], mark[:-1]))
    return start, np.maximum(start, mark), np.minimum(start, mark), mark, np.zeros(len(mark))


def _candles(
    dates: pd.DatetimeIndex,
    bars: tuple[Floats, Floats, Floats, Floats, Floats],
    per_bar: int,
    price_decimals: int,
    volume_decimals: int,
) -> pd.DataFrame:
    """Aggregate steps to candles and round to the tick; no price falls under one tick."""
    opened, high, low, close, volume = (values.reshape(-1, per_bar) for values in bars)
    prices = (opened[:, 0], high.max(axis=1), low.min(axis=1), close[:, -1])
    tick = 10.0**-price_decimals
    columns = [np.maximum(np.round(p, price_decimals), tick) for p in prices]
    # Each step's volume is rounded, so that a candle's volume is the sum of shorter ones.
    whole = np.round(volume * 10.0**volume_decimals).sum(axis=1)
    return pd.DataFrame(
        {
            "date": dates[::per_bar],
            **dict(zip(("open", "high", "low", "close"), columns, strict=True)),
            "volume": whole / 10.0**volume_decimals,
        }
    )


def _funding(dates: pd.DatetimeIndex, premium: Floats, crowd: CrowdSettings) -> pd.DataFrame:
    """Settle funding every eight hours from the mean premium of the hours before."""
    mean = premium.reshape(-1, STEPS_PER_FUNDING).mean(axis=1)
    rate = mean + np.clip(crowd.interest - mean, -crowd.clamp, crowd.clamp)
    rate = np.round(np.clip(rate, -crowd.funding_cap, crowd.funding_cap), 8)
    # The settlement that closes the last stretch falls on the first moment after the market.
    return pd.DataFrame(
        {"date": dates[STEPS_PER_FUNDING::STEPS_PER_FUNDING], "funding_rate": rate[:-1]}
    )


def _open_interest(dates: pd.DatetimeIndex, path: CoinPath, coin: CoinSettings) -> pd.DataFrame:
    """Return the open interest at the beginning of each hour, in coins and in quote currency."""
    typical = coin.open_interest * coin.turnover / coin.price
    before = slice(STEPS_PER_HOUR - 1, -1, STEPS_PER_HOUR)
    amount = np.round(typical * np.exp(path.interest[before]), 3)
    return pd.DataFrame(
        {
            "date": dates[STEPS_PER_HOUR::STEPS_PER_HOUR],
            "open_interest_amount": amount,
            "open_interest_value": np.round(amount * np.exp(path.price[before]), 2),
        }
    )
