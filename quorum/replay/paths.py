"""Kernels of the synthetic market: price diffusion, crowding and liquidations, slow noise.

All work in log prices on equal steps and take their random numbers as arrays, so the same
numbers always give the same path.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.typing import Bools, Floats


@njit(cache=True)
def diffuse(
    shocks: Floats,
    sigma: Floats,
    drift: Floats,
    pull: Floats,
    new_regime: Bools,
    alpha: float,
    beta: float,
    limit: float,
) -> tuple[Floats, Floats]:
    """Diffuse a log price with GARCH(1,1) volatility and, where there is a pull, a range.

    1. The step's variance is ``sigma**2`` times a GARCH multiplier of mean one, which is held
       within ``[1/limit, limit]``.
    2. When a regime begins, the range's middle is the price at that moment; it moves with the
       drift, and the price is pulled to it.

    Parameters
    ----------
    shocks : ndarray of shape (n_steps,)
        Independent, mean zero, variance one.
    sigma, drift, pull : ndarray of shape (n_steps,)
        Volatility, log drift and fraction of the distance to the middle taken back, per step.
    alpha, beta, limit : float
        GARCH weights of the last squared shock and variance; largest multiplier.

    Returns
    -------
    level, deviation : ndarray of shape (n_steps,)
        Log price at the end of each step, from zero; standard deviation of each step.
    """
    n = len(shocks)
    level = np.empty(n)
    deviation = np.empty(n)
    x = 0.0
    middle = 0.0
    multiplier = 1.0
    for t in range(n):
        if new_regime[t]:
            middle = x
        middle += drift[t]
        deviation[t] = sigma[t] * math.sqrt(multiplier)
        x += drift[t] - pull[t] * (x - middle) + deviation[t] * shocks[t]
        level[t] = x
        multiplier *= alpha * shocks[t] * shocks[t] + beta
        multiplier += 1.0 - alpha - beta
        multiplier = min(max(multiplier, 1.0 / limit), limit)
    return level, deviation


class Crowding(NamedTuple):
    """How a crowd leans, holds positions and is liquidated; all rates per step."""

    step_sigma: float  # typical volatility of a step: the scale of trigger, lean and push
    lean_decay: float  # weight of the last return in the mean the crowd follows
    lean_scale: float  # mean return that makes a clear lean [step_sigma]
    run_decay: float  # forgetting of the move that liquidates
    trigger: float  # move against the crowd that liquidates [step_sigma]
    cascade_steps: int  # steps a cascade lasts
    push: float  # price move of each step of a cascade [step_sigma]
    loss: float  # fall of log open interest in each step of a cascade
    recovery: float  # share of the dislocation taken back
    cooldown: int  # least distance of two cascades
    growth: float  # speed of open interest to its level
    level: float  # rise of log open interest with a full lean
    wobble: float  # noise of log open interest


@njit(cache=True)
def liquidate(
    fair: Floats, noise: Floats, crowding: Crowding
) -> tuple[Floats, Floats, Floats, Bools]:
    """Let a crowd follow the price, open positions and be liquidated.

    1. The crowd leans with the decaying mean of returns, -1 (short) to 1 (long).
    2. Open interest reverts to a level that rises with the lean, with noise.
    3. A move against the crowd larger than the trigger closes positions by force for some
       steps: open interest falls, the price is pushed on and comes back afterwards.

    Parameters
    ----------
    fair, noise : ndarray of shape (n_steps,)
        Log price without liquidations; shocks of open interest of mean zero, variance one.
    crowding : Crowding

    Returns
    -------
    price, crowd, interest, forced : ndarray of shape (n_steps,)
        Log price; lean after each step; log open interest relative to its base; forced steps.
    """
    n = len(fair)
    price, crowd, interest = np.empty(n), np.empty(n), np.empty(n)
    forced = np.zeros(n, dtype=np.bool_)
    mean = run = lean = dislocation = held = side = 0.0
    left = wait = 0
    last = fair[0] if n else 0.0
    for t in range(n):
        dislocation -= crowding.recovery * dislocation
        target = crowding.level * abs(lean)
        held += crowding.growth * (target - held) + crowding.wobble * noise[t]
        if left > 0:
            forced[t] = True
            dislocation -= side * crowding.push * crowding.step_sigma
            held -= crowding.loss
            left -= 1
        price[t] = fair[t] + dislocation
        change = price[t] - last
        last = price[t]
        mean += crowding.lean_decay * (change - mean)
        run += change - crowding.run_decay * run
        lean = math.tanh(mean / (crowding.lean_scale * crowding.step_sigma))
        crowd[t] = lean
        interest[t] = held
        wait -= 1
        if wait <= 0 and run * np.sign(lean) < -crowding.trigger * crowding.step_sigma:
            side = lean
            left = crowding.cascade_steps
            wait = crowding.cooldown
    return price, crowd, interest, forced


@njit(cache=True)
def autoregress(shocks: Floats, persistence: float) -> Floats:
    """Return an AR(1) series of variance one from shocks of variance one."""
    out = np.empty(len(shocks))
    scale = math.sqrt(1.0 - persistence * persistence)
    x = shocks[0] if len(shocks) else 0.0
    for t in range(len(shocks)):
        x = persistence * x + scale * shocks[t]
        out[t] = x
    return out
