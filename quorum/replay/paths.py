"""Kernels of the synthetic market: price diffusion, crowding and liquidations, slow noise.

All work in log prices on equal steps and take their random numbers as arrays, so the same
numbers always give the same path.
"""

from __future__ import annotations

import math

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
    new_regime : ndarray of shape (n_steps,), bool
    alpha, beta : float
        GARCH weights of the last squared shock and of the last variance.
    limit : float
        Largest variance multiplier.

    Returns
    -------
    level : ndarray of shape (n_steps,)
        Log price at the end of each step, from zero.
    deviation : ndarray of shape (n_steps,)
        Standard deviation of each step.
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


@njit(cache=True)
def liquidate(
    fair: Floats,
    noise: Floats,
    step_sigma: float,
    crowd_decay: float,
    crowd_scale: float,
    run_decay: float,
    trigger: float,
    cascade_steps: int,
    cascade_move: float,
    cascade_loss: float,
    recovery: float,
    cooldown: int,
    growth: float,
    crowding: float,
    wobble: float,
) -> tuple[Floats, Floats, Floats, Bools]:
    """Let a crowd follow the price, open positions and be liquidated.

    1. The crowd leans with the decaying mean of returns, -1 (short) to 1 (long).
    2. Open interest reverts to a level that rises with the lean, with noise.
    3. When the last hour's move against the crowd is larger than the trigger, positions are
       closed by force for some steps: the price is pushed on, open interest falls.
    4. The push is a dislocation that is taken back afterwards.

    Parameters
    ----------
    fair : ndarray of shape (n_steps,)
        Log price without liquidations.
    noise : ndarray of shape (n_steps,)
        Shocks of open interest, mean zero, variance one.
    step_sigma : float
        Typical volatility of a step; the scale of the trigger, the crowd and the push.

    Returns
    -------
    price : ndarray of shape (n_steps,)
        Log price with liquidations.
    crowd : ndarray of shape (n_steps,)
        Lean of the crowd after each step, -1 to 1.
    interest : ndarray of shape (n_steps,)
        Log open interest relative to its base level.
    forced : ndarray of shape (n_steps,), bool
        Steps in which positions were closed by force.
    """
    n = len(fair)
    price = np.empty(n)
    crowd = np.empty(n)
    interest = np.empty(n)
    forced = np.zeros(n, dtype=np.bool_)
    mean = 0.0
    run = 0.0
    lean = 0.0
    dislocation = 0.0
    held = 0.0
    side = 0.0
    left = 0
    wait = 0
    last = fair[0] if n else 0.0
    for t in range(n):
        dislocation -= recovery * dislocation
        held += growth * (crowding * abs(lean) - held) + wobble * noise[t]
        if left > 0:
            forced[t] = True
            dislocation -= side * cascade_move * step_sigma
            held -= cascade_loss
            left -= 1
        price[t] = fair[t] + dislocation
        change = price[t] - last
        last = price[t]
        mean += crowd_decay * (change - mean)
        run += change - run_decay * run
        lean = math.tanh(mean / (crowd_scale * step_sigma))
        crowd[t] = lean
        interest[t] = held
        wait -= 1
        if wait <= 0 and run * np.sign(lean) < -trigger * step_sigma:
            side = lean
            left = cascade_steps
            wait = cooldown
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
