"""Trade callbacks without the host's copy of the trade.

freqtrade deep-copies the Trade before every overridden callback that receives it, so that a
strategy cannot change it by accident; the copy costs more than our callbacks do. It is not
made for callbacks whose qualified name begins with ``IStrategy.``. Ours only read the trade,
so the opt-in setting ``fast_callbacks`` gives them such a name; a test shows that the trades
are identical.
"""

from __future__ import annotations

from types import FunctionType, MethodType

from freqtrade.strategy import IStrategy

#: Callbacks that are called for every candle of every open trade, or for every order: a trade
#: that is added to and taken from for weeks has many, and each copy holds them all.
CALLBACKS = (
    "custom_stoploss",
    "custom_roi",
    "custom_exit",
    "adjust_trade_position",
    "custom_entry_price",
    "custom_exit_price",
    "check_entry_timeout",
    "check_exit_timeout",
    "order_filled",
)


def spare_trade_copies(strategy: IStrategy) -> None:
    """Let the host call this strategy's trade callbacks without copying the trade."""
    for name in CALLBACKS:
        own = type(strategy).__dict__.get(name)
        if isinstance(own, FunctionType):
            setattr(strategy, name, MethodType(_renamed(own), strategy))


def _renamed(function: FunctionType) -> FunctionType:
    """Return the same function under the host's name; its signature is read by the host too."""
    copy = FunctionType(
        function.__code__,
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__ = f"IStrategy.{function.__name__}"
    return copy
