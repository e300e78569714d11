"""Trade callbacks without the host's copy of the trade.

freqtrade deep-copies the Trade before every overridden callback that receives it, so that a
strategy cannot change it by accident; the copy costs more than our callbacks do. It is not
made for callbacks whose qualified name begins with ``IStrategy.``. Ours only read the trade,
so the opt-in setting ``fast_callbacks`` gives them such a name; a test shows that the trades
are identical.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from freqtrade.strategy import IStrategy

#: Callbacks that are called for every candle of every open trade.
CALLBACKS = ("custom_stoploss", "custom_roi", "custom_exit")


def spare_trade_copies(strategy: IStrategy) -> None:
    """Let the host call this strategy's trade callbacks without copying the trade."""
    for name in CALLBACKS:
        if name in type(strategy).__dict__:
            setattr(strategy, name, _renamed(getattr(strategy, name), name))


def _renamed(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs)

    call.__qualname__ = f"IStrategy.{name}"
    return call
