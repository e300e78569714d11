"""Questions to the configured exchange and to the strategy, for ``quorum doctor``."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from freqtrade.enums import CandleType
from freqtrade.exceptions import FreqtradeException

# The host's own client, for the errors it raises.
from freqtrade.exchange.exchange import ccxt
from freqtrade.resolvers import ExchangeResolver, StrategyResolver

from quorum.bot.host import completed
from quorum.doctor.base import Override, Strategy
from quorum.errors import DataError

logger = logging.getLogger(__name__)

#: Milliseconds one question may take.
PATIENCE = 5000
#: What the host lets a configuration or a parameter file replace.
REPLACEABLE = (
    "minimal_roi",
    "timeframe",
    "stoploss",
    "trailing_stop",
    "trailing_stop_positive",
    "trailing_stop_positive_offset",
    "trailing_only_offset_is_reached",
    "use_custom_stoploss",
    "use_custom_roi",
    "process_only_new_candles",
    "order_types",
    "order_time_in_force",
    "startup_candle_count",
    "unfilledtimeout",
    "use_exit_signal",
    "exit_profit_only",
    "exit_profit_offset",
    "ignore_roi_if_entry_signal",
    "disable_dataframe_checks",
    "ignore_buying_expired_candle_after",
    "position_adjustment_enable",
    "max_entry_position_adjustment",
)


def load_strategy(config: Mapping[str, Any]) -> Strategy:
    """Load the strategy as the host does and tell what is not as its code says.

    Raises
    ------
    DataError
        If the host cannot load it.
    """
    try:
        strategy = StrategyResolver.load_strategy(completed(config))
    except Exception as error:
        # The file is the user's: whatever it raises is a finding, not the end of the search.
        said = " ".join(str(error).split())
        if not isinstance(error, FreqtradeException):
            said = f"{type(error).__name__}: {said}"
        raise DataError(said) from error
    code = type(strategy)
    values = {name: getattr(strategy, name) for name in REPLACEABLE if hasattr(strategy, name)}
    overrides = tuple(
        Override(name, _shown(getattr(code, name)), _shown(value))
        for name, value in values.items()
        if hasattr(code, name) and _shown(getattr(code, name)) != _shown(value)
    )
    return Strategy(
        strategy.get_strategy_name(),
        str(strategy.version()),
        Path(strategy.__file__),
        values,
        overrides,
    )


def _shown(value: Any) -> Any:
    """Bring a value into the form in which it can be compared: the host turns keys to numbers."""
    if isinstance(value, Mapping):
        return {str(name): item for name, item in value.items()}
    return value


class ExchangeProbe:
    """Asks the configured exchange through the host's own client; None where nobody answers.

    Nothing is asked before a method is called, nothing is ever ordered.

    Parameters
    ----------
    config : mapping
        freqtrade configuration.
    online : bool, default=True
        False answers only what needs no connection.

    Raises
    ------
    DataError
        If the host does not know the exchange.
    """

    def __init__(self, config: Mapping[str, Any], *, online: bool = True) -> None:
        mine = completed(config)
        self._keys = dict(mine.get("exchange") or {})
        # The host then holds no keys, and signs nothing while it starts.
        mine["dry_run"] = True
        ccxt_config = mine.setdefault("exchange", {}).setdefault("ccxt_config", {})
        ccxt_config.setdefault("timeout", PATIENCE)
        try:
            self._exchange = ExchangeResolver.load_exchange(mine, validate=False)
        except (FreqtradeException, KeyError) as error:
            raise DataError(f"exchange: {error}") from error
        self._api = self._exchange._api
        self._markets: Mapping[str, Any] | None = None
        self._silent = not online

    @property
    def name(self) -> str:
        """The exchange's name."""
        return str(self._exchange.name)

    def close(self) -> None:
        """End what the host has started."""
        self._exchange.close()

    def candle_limit(self, timeframe: str, candle_type: str) -> int:
        """Return the candles of one request."""
        return int(self._exchange.ohlcv_candle_limit(timeframe, CandleType(candle_type)))

    def clock_offset(self) -> float | None:
        """Return the exchange's time minus ours, milliseconds, in the middle of the request."""
        before = time.time()
        answer = self._ask("fetch_time")
        return None if answer is None else float(answer) - 500 * (before + time.time())

    def key_rights(self) -> Mapping[str, Any] | None:
        """Return the rights of the key, asked of Binance only: no other exchange tells."""
        key = next((self._keys[n] for n in ("key", "api_key", "apiKey") if self._keys.get(n)), "")
        if not key or not hasattr(self._api, "sapi_get_account_apirestrictions"):
            return None
        self._api.apiKey, self._api.secret = key, self._keys.get("secret", "")
        try:
            answer = self._ask("sapi_get_account_apirestrictions")
        finally:
            self._api.apiKey = self._api.secret = None
        return answer if isinstance(answer, Mapping) else None

    def smallest_orders(self, pairs: Iterable[str]) -> Mapping[str, float] | None:
        """Return the smallest position value by pair, as far as it does not depend on the price."""
        markets = self._load()
        if markets is None:
            return None
        limits = {pair: markets[pair]["limits"]["cost"]["min"] for pair in pairs if pair in markets}
        return {pair: float(smallest) for pair, smallest in limits.items() if smallest}

    def listed(self) -> frozenset[str] | None:
        """Return the pairs the exchange lists."""
        markets = self._load()
        return None if markets is None else frozenset(markets)

    def _load(self) -> Mapping[str, Any] | None:
        if self._markets is None:
            self._markets = self._ask("load_markets")
        return self._markets

    def _ask(self, method: str) -> Any:
        """Ask one question; once nobody answered, nothing more is asked."""
        if self._silent:
            return None
        try:
            return getattr(self._api, method)()
        except ccxt.NetworkError as error:
            self._silent = True
            logger.info("%s does not answer: %s", self.name, type(error).__name__)
        except ccxt.BaseError as error:
            logger.info("%s refuses %s: %s", self.name, method, type(error).__name__)
        return None
