"""Quorum for freqtrade: the table of contents of the system.

Everything that follows from the market is a column (``populate_*``); everything that follows
from the account happens in the callbacks below, each a few lines that name the step it takes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from freqtrade.persistence import Order, Trade
from freqtrade.strategy import (
    DecimalParameter,
    IntParameter,
    IStrategy,
    stoploss_from_absolute,
)
from pandas import DataFrame

from quorum.bot.advice import WriterProcess, fact_notes
from quorum.bot.annotations import draw_annotations, trades_drawn
from quorum.bot.candle_journal import candle_journal
from quorum.bot.desk import Desk
from quorum.bot.fast import spare_trade_copies
from quorum.bot.host import (
    bot_source,
    is_futures,
    settings_from_config,
    stop_holds_coins,
    traded_pairs,
)
from quorum.bot.journal import keep_journal
from quorum.bot.keeper import Keeper
from quorum.bot.log_secrets import hide_secrets
from quorum.bot.models import bot_models
from quorum.bot.notices import Notices
from quorum.bot.playbook_trades import PlaybookTrades
from quorum.bot.result_key import mark_decisions
from quorum.bot.trainer import Trainer
from quorum.bot.tuning import Tuning
from quorum.bot.watch import Watch
from quorum.sizing.base import BELOW_MINIMUM_ORDER


class Quorum(IStrategy):
    """Trade when a quorum of independent heads agrees."""

    INTERFACE_VERSION = 3
    timeframe = "1h"
    can_short = True
    process_only_new_candles = True
    startup_candle_count = 1400
    use_exit_signal = True
    use_custom_stoploss = True
    use_custom_roi = True
    position_adjustment_enable = True
    max_entry_position_adjustment = -1
    # The stop and the target of every trade are its own; these only bound them.
    stoploss = -0.90
    minimal_roi: ClassVar[dict[str, float]] = {"0": 1000.0}

    # How long an order waits is decided by the check_*_timeout callbacks; a shorter limit of the
    # host would cancel pullback entries and resting targets before their time.
    unfilledtimeout: ClassVar[dict[str, Any]] = {"entry": 20160, "exit": 20160, "unit": "minutes"}

    # Hyperopt: they act on signals and trades, never on indicators. Each starts at the
    # configuration's value; a parameter file or an epoch moves it (quorum.bot.tuning).
    quorum_heads = IntParameter(4, 7, default=4, space="buy")
    min_probability = DecimalParameter(0.55, 0.70, default=0.60, decimals=2, space="buy")
    min_confidence = DecimalParameter(0.60, 0.80, default=0.70, decimals=2, space="buy")
    gate = DecimalParameter(0.65, 0.90, default=0.65, decimals=2, space="buy")
    stop_atr_multiple = DecimalParameter(1.0, 3.0, default=1.5, decimals=1, space="stops")
    stop_max_risk = DecimalParameter(2.0, 8.0, default=5.0, decimals=1, space="stops")
    breakeven_at = DecimalParameter(1.0, 6.0, default=3.0, decimals=1, space="stops")
    target_scale = DecimalParameter(0.8, 1.6, default=1.0, decimals=1, space="targets")
    min_first_target = DecimalParameter(1.0, 2.5, default=1.5, decimals=1, space="targets")
    time_stop = IntParameter(24, 336, default=168, space="targets")
    # Factors on the configured weights of groups of heads.
    weight_of_indicators = DecimalParameter(0.0, 2.0, default=1.0, decimals=1, space="weights")
    weight_of_price_action = DecimalParameter(0.0, 2.0, default=1.0, decimals=1, space="weights")
    weight_of_crowd = DecimalParameter(0.0, 2.0, default=1.0, decimals=1, space="weights")
    weight_of_models = DecimalParameter(0.0, 2.0, default=1.0, decimals=1, space="weights")

    plot_config: ClassVar[dict[str, Any]] = {
        "main_plot": {
            "swing_high_near": {"color": "#c0392b"},
            "swing_low_near": {"color": "#27ae60"},
        },
        "subplots": {
            "consensus": {"consensus_confidence": {"color": "#2c3e50", "type": "bar"}},
            "confluence": {"confluence_score": {"color": "#8e44ad"}},
            "votes": {
                "vote_technical": {"color": "#1f77b4"},
                "vote_sentiment": {"color": "#ff7f0e"},
                "vote_volume": {"color": "#2ca02c"},
                "vote_rules": {"color": "#d62728"},
                "vote_ict": {"color": "#9467bd"},
                "vote_wyckoff": {"color": "#8c564b"},
                "vote_harmonic": {"color": "#e377c2"},
                "vote_structure": {"color": "#7f7f7f"},
                "vote_crypto": {"color": "#17becf"},
                "vote_signal": {"color": "#bcbd22"},
                "vote_ensemble": {"color": "#2c3e50"},
            },
        },
    }

    def __init__(self, config: dict[str, Any]) -> None:
        hide_secrets(config)
        settings = settings_from_config(config, config.get("timeframe", self.timeframe))
        timeframe = config.get("timeframe", self.timeframe)
        self.models = bot_models(config, settings, timeframe)
        self.desk = Desk(settings, timeframe, self.models)
        self.keeper = Keeper(self.desk)
        self.tuning = Tuning(self, settings)
        self.can_short = is_futures(config)
        mark_decisions(config, settings)
        super().__init__(config)
        if settings.fast_callbacks:
            spare_trade_copies(self)

    def version(self) -> str:
        """Return the version of the package behind the strategy."""
        from quorum import __version__

        return __version__

    def bot_start(self, **kwargs: Any) -> None:
        """Connect the market data; keep a journal."""
        self.models.require(traded_pairs(self.dp, self.config))
        self.source = bot_source(self.dp, self.config, self.desk.settings)
        self.watch = Watch(self, self.desk)
        self.playbooks = PlaybookTrades(self.desk, self.watch)
        self.keeper.levels_rest = not stop_holds_coins(self)
        self.notices = Notices(self.dp, self.desk)
        self.trainer = Trainer(self.config, self.desk.settings, self.models)
        self.desk.facts = fact_notes(self.config, self.desk.settings)
        self.advisors = WriterProcess(self.config, self.desk.settings)
        keep_journal(self.desk, self.config)
        self.desk.journal = candle_journal(
            self.config, self.desk.settings, self.startup_candle_count, self.models
        )

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        """Let the guards look at account and market (spec G); keep the models young."""
        self.watch.on_candle(current_time)
        self.playbooks.begin()
        self.notices.learned(self.models)
        self.trainer.on_candle(current_time)

    def informative_pairs(self) -> list[tuple[str, str, str]]:
        """Ask the host for every series the markets of the whitelist are built from."""
        return list(self.source.all_series(self.dp.current_whitelist()))

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Features and votes, once per candle."""
        return self.desk.analyse(self.source, metadata["pair"], dataframe)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """Consensus, gate and entry signals; what is tuned acts from here on."""
        settings = self.desk.settings = self.tuning.settings()
        weights, consensus = settings.head_weights(), settings.consensus
        return self.desk.enter(metadata["pair"], dataframe, weights, consensus)

    def populate_exit_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        """No exit signals: a trade ends by the rules it began with, in custom_exit."""
        return dataframe

    def custom_entry_price(
        self,
        pair: str,
        current_time: datetime,
        proposed_rate: float,
        entry_tag: str | None,
        **kwargs: Any,
    ) -> float:
        """Price of the entry order: at once, a pullback's limit (spec Z2), a bid (spec W-1)."""
        if self.playbooks.owns(entry_tag):
            return self.playbooks.limit_price(pair, current_time, proposed_rate, entry_tag)
        return self.desk.limit_price(pair, current_time, proposed_rate)

    def plot_annotations(
        self,
        pair: str,
        start_date: datetime,
        end_date: datetime,
        dataframe: DataFrame,
        **kwargs: Any,
    ) -> list[Any]:
        """Order blocks, dealing range and zones, stop and ladder of trades."""
        return draw_annotations(self.desk, trades_drawn(pair), pair, start_date, end_date)

    def leverage(
        self,
        pair: str,
        current_time: datetime,
        current_rate: float,
        max_leverage: float,
        entry_tag: str | None,
        **kwargs: Any,
    ) -> float:
        """Leverage from the settings, cut until the stop lies before liquidation (spec L2)."""
        if self.playbooks.owns(entry_tag):
            return min(self.playbooks.leverage(current_rate), max_leverage)
        return min(self.desk.leverage(pair, current_time, current_rate), max_leverage)

    def custom_stake_amount(
        self,
        pair: str,
        current_time: datetime,
        current_rate: float,
        min_stake: float | None,
        max_stake: float,
        leverage: float,
        entry_tag: str | None,
        **kwargs: Any,
    ) -> float:
        """Size by confidence (spec S); what is to be refused is put to confirm_trade_entry."""
        smallest = min_stake or 0.0
        if self.playbooks.owns(entry_tag):
            return self.playbooks.stake(
                pair, current_time, current_rate, entry_tag, smallest, leverage
            )
        capital = self.wallets.get_total_stake_amount()
        account = self.watch.account_of(pair, current_time, capital, smallest * leverage)
        signal = self.desk.quote(pair, current_time, current_rate, account)
        if smallest > max_stake:
            # The host drops such an entry and asks nothing more.
            self.desk.confirm(pair, lambda _signal: BELOW_MINIMUM_ORDER)
        wanted = 0.0 if signal is None else signal.position_size_quote / leverage
        return min(max(wanted, smallest), max_stake)

    def confirm_trade_entry(
        self,
        pair: str,
        amount: float,
        rate: float,
        current_time: datetime,
        entry_tag: str | None,
        **kwargs: Any,
    ) -> bool:
        """Accept or refuse the entry, with a reason code that is counted (spec G)."""
        if self.playbooks.owns(entry_tag):
            return self.playbooks.confirm(pair, current_time, amount, rate, entry_tag)
        return self.desk.confirm(
            pair, lambda signal: self.watch.refusal(signal, current_time, amount * rate)
        )

    def check_entry_timeout(
        self, pair: str, trade: Trade, order: Order, current_time: datetime, **kwargs: Any
    ) -> bool:
        """Cancel an entry order that its price has not come to in time (spec Z2, W-1)."""
        if self.playbooks.owns(trade.enter_tag):
            return self.playbooks.withdraws(trade, order, current_time)
        return self.watch.withdraws(trade, order) or self.desk.expired(trade, order, current_time)

    def check_exit_timeout(
        self, pair: str, trade: Trade, order: Order, current_time: datetime, **kwargs: Any
    ) -> bool:
        """Cancel an exit order that does not fill, but let the rungs of the ladder rest."""
        return self.watch.withdraws(trade, order) or self.keeper.stale(order, current_time)

    def order_filled(
        self, pair: str, trade: Trade, order: Order, current_time: datetime, **kwargs: Any
    ) -> None:
        """Store the signal with the trade, and tell those who listen."""
        if order.ft_order_side == trade.entry_side and not self.playbooks.owns(trade.enter_tag):
            self.desk.filled(trade)
        self.notices.filled(trade, order)

    def custom_stoploss(
        self,
        pair: str,
        trade: Trade,
        current_time: datetime,
        current_rate: float,
        current_profit: float,
        after_fill: bool,
        **kwargs: Any,
    ) -> float | None:
        """Stop of the signal (spec P1), then breakeven and trail (spec P4)."""
        stop = self.manager(trade).stop(trade, current_time, current_rate, after_fill=after_fill)
        if stop is None:
            return None
        return stoploss_from_absolute(
            stop, current_rate, is_short=trade.is_short, leverage=trade.leverage
        )

    def custom_roi(
        self, pair: str, trade: Trade, current_time: datetime, **kwargs: Any
    ) -> float | None:
        """Last target of the ladder (spec P2, P3) as a profit ratio, filled inside the candle."""
        target = self.manager(trade).target(trade)
        return None if target is None else trade.calc_profit_ratio(target)

    def adjust_trade_position(
        self,
        trade: Trade,
        current_time: datetime,
        current_exit_rate: float,
        min_stake: float | None,
        **kwargs: Any,
    ) -> tuple[float, str] | None:
        """Rungs of the ladder (spec P3), half out on a reversal (spec P4); lots (spec T-1, W-1)."""
        if self.watch.must_close(trade) is not None:
            return None
        return self.manager(trade).adjust(trade, current_time, current_exit_rate, min_stake or 0.0)

    def custom_exit_price(
        self,
        pair: str,
        trade: Trade,
        current_time: datetime,
        proposed_rate: float,
        current_profit: float,
        exit_tag: str | None,
        **kwargs: Any,
    ) -> float:
        """A rung of the ladder waits at its own price."""
        return self.manager(trade).exit_price(trade, proposed_rate, exit_tag)

    def custom_exit(
        self,
        pair: str,
        trade: Trade,
        current_time: datetime,
        current_rate: float,
        current_profit: float,
        **kwargs: Any,
    ) -> str | None:
        """End what the guards close (spec G3), then what a reversal or time ends (spec P4)."""
        self.watch.saw(pair, current_time, current_rate)
        closing = self.watch.must_close(trade)
        return closing or self.manager(trade).exit_reason(trade, current_time, current_rate)

    def manager(self, trade: Trade) -> Keeper | PlaybookTrades:
        """Return whose rules a trade began with."""
        return self.playbooks if self.playbooks.owns(trade.enter_tag) else self.keeper
