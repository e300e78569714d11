"""Sizing by a risk budget over what a unit can lose (spec S3)."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace

from quorum.consensus import GRACE
from quorum.sizing.bands import Bands
from quorum.sizing.base import (
    Record,
    Size,
    SizeRequest,
    SizingMethod,
    factors_of,
    noted,
    refused,
)
from quorum.sizing.risk_measures import correlation, holding_cvar, mean_known, past_results

logger = logging.getLogger(__name__)


class Elite(SizingMethod):
    """Risks a share of the equity, less when trades are alike, doubtful, or past ones failed.

    Whatever goes wrong in the calculation, the bands method sizes the trade, and the failure is
    logged with its traceback.
    """

    name = "elite"

    def size(self, request: SizeRequest) -> Size:
        """Size one trade and log every number of the calculation in one line."""
        try:
            size = super().size(request)
        except Exception:
            logger.exception("Elite sizing failed on %s; the bands size it", request.pair)
            bands = Bands(self.settings).size(request)
            size = replace(
                bands,
                reasons=("elite_failed", *bands.reasons),
                record={**bands.record, "fallback_from": self.name},
            )
        logger.debug("size %s", json.dumps(size.record))
        return size

    def _sized(self, request: SizeRequest, record: Record) -> Size:
        """Size one trade.

        1. Refuse what promises too little, or is too much like the trades already open.
        2. Product of all multipliers, clamped; with it the risk budget.
        3. Loss per unit; the budget over it is the size wanted.
        4. The smallest cap.
        5. Guards and smallest order.
        """
        if request.account is not None:
            record["at"] = request.account.at.isoformat()
        promises_enough = self._promises_enough(request, record)
        diversification = self._diversification(request, record)
        loss = self._loss_per_unit(request, record)
        if not promises_enough:
            return refused("expected_return_too_low", record=record)
        if diversification is None:
            return refused("too_correlated", record=record)
        if request.distance <= 0:
            return refused("stop_at_entry", record=record)
        measured = {
            "diversification": diversification,
            "performance": self._performance(request, record),
        }
        multiplier, reasons = self._multiplier(request, measured, record)
        risk = self.settings.elite.risk
        budget = request.equity * risk / 100 * multiplier
        wanted = budget / loss * request.entry
        caps = self._caps(request, loss)
        binding = min(caps, key=lambda name: caps[name])
        binds = caps[binding] < wanted
        numbers = {"equity": request.equity, "risk_percent": risk, "budget": budget}
        numbers |= {"units_wanted": budget / loss, "wanted": wanted}
        record.update(noted(numbers | {f"cap_{name}": cap for name, cap in caps.items()}))
        record["binding"] = binding if binds else "none"
        if not caps[binding] > 0:
            return refused(*reasons, f"no_room_{binding}", record=record)
        if binds:
            reasons.append(f"cap_{binding}={caps[binding] / wanted:.3g}")
        return self._placed(request, min(wanted, caps[binding]), reasons, record)

    def _promises_enough(self, request: SizeRequest, record: Record) -> bool:
        """Whether the expected return is large enough.

        What is won at R:R and lost at 1, in units of the risk. In a market in which trades are
        made smaller the same promise is worth less: the regime's factor acts on it.
        """
        p = request.confidence if math.isnan(request.win_rate) else request.win_rate
        if not (math.isfinite(request.risk_reward) and request.risk_reward > 0 and 0 <= p <= 1):
            raise ValueError(f"no expected return: win rate {p}, R:R {request.risk_reward}")
        expected = p * request.risk_reward - (1 - p)
        adjusted = expected * request.regime_factor if expected > 0 else expected
        least = self.settings.elite.min_expected_return
        record["win_rate_source"] = "confidence" if math.isnan(request.win_rate) else "expected"
        record.update(
            noted(
                {
                    "confidence": request.confidence,
                    "win_rate": p,
                    "risk_reward": request.risk_reward,
                    "expected_return": expected,
                    "regime_factor": request.regime_factor,
                    "adjusted_return": adjusted,
                    "min_expected_return": least,
                }
            )
        )
        return adjusted > least + GRACE

    def _diversification(self, request: SizeRequest, record: Record) -> float | None:
        """Return the factor for the mean correlation with the open trades, None to refuse.

        A trade's return is that of its pair times its direction, so opposite sides of alike
        pairs offset each other. Correlations that are not known are left out of the mean.
        """
        own = self.settings.elite.correlation
        trades = () if request.account is None else request.account.open
        values: list[float] = []
        for trade in trades:
            peer = request.peers.get(trade.pair)
            value = math.nan
            if request.returns is not None and peer is not None:
                value = correlation(request.returns, peer, own.window, own.least)
            values.append(value * trade.direction * request.direction)
            record[f"correlation_{trade.pair}"] = noted({"value": values[-1]})["value"]
        mean = mean_known(values)
        factor = own.factor(mean)
        numbers = {
            "open_trades": len(trades),
            "known_correlations": sum(math.isfinite(value) for value in values),
            "mean_correlation": mean,
            "diversification": factor,
        }
        record.update(noted(numbers))
        return None if mean > own.largest + GRACE else factor

    def _performance(self, request: SizeRequest, record: Record) -> float:
        """Return the factor for the results of the last closed trades, 1.0 without any."""
        own = self.settings.elite.performance
        closed = () if request.account is None else request.account.closed
        count, win_rate, sharpe = past_results(closed, own.trades)
        factor = own.factor(win_rate, sharpe)
        record.update(
            noted(
                {
                    "closed_trades": count,
                    "past_win_rate": win_rate,
                    "past_sharpe": sharpe,
                    "performance": factor,
                }
            )
        )
        return factor

    def _multiplier(
        self, request: SizeRequest, measured: dict[str, float], record: Record
    ) -> tuple[float, list[str]]:
        """Return the clamped product of all multipliers, and what acted on the size."""
        own = self.settings.elite
        product = math.prod(request.multipliers.values()) * math.prod(measured.values())
        if not math.isfinite(product):
            raise ValueError(f"the product of all multipliers is {product}")
        clamped = min(max(product, own.smallest), own.largest)
        reasons = [f"elite={own.risk:g}%"]
        reasons += [f"{name}={factor:g}" for name, factor in request.multipliers.items()]
        reasons += [f"{name}={factor:.4g}" for name, factor in measured.items() if factor != 1.0]
        if clamped != product:
            reasons.append(f"multiplier_clamp={clamped / product:.3g}")
        record.update(noted({**factors_of(request), "product": product, "multiplier": clamped}))
        return clamped, reasons

    def _loss_per_unit(self, request: SizeRequest, record: Record) -> float:
        """Return what one unit can lose, quote currency: at the stop, or in the tail if more."""
        tail = self.settings.elite.tail
        if request.direction not in (-1, 1):
            raise ValueError(f"direction: {request.direction} is neither +1 nor -1")
        returns = None if request.returns is None else request.returns[-tail.history :]
        share = holding_cvar(returns, request.direction, tail.holding, tail.level, tail.periods)
        at_stop, in_tail = abs(request.entry - request.stop), share * request.entry
        if math.isnan(share):
            loss, source = tail.short_history * at_stop, "short_history"
        else:
            loss, source = max((at_stop, "stop"), (in_tail, "cvar"))
        record["loss_source"] = source
        record.update(
            noted(
                {
                    "stop_loss_per_unit": at_stop,
                    "cvar": share,
                    "cvar_loss_per_unit": in_tail,
                    "loss_per_unit": loss,
                    "holding": tail.holding,
                }
            )
        )
        return loss

    def _caps(self, request: SizeRequest, loss: float) -> dict[str, float]:
        """Return the largest position values by cap, quote currency; 0 and less is no room."""
        own, equity = self.settings.elite.caps, request.equity
        # Floating profit may be gone tomorrow: no percentage of what is not realised yet.
        smallest = min(equity, request.balance, request.capital)
        trades = () if request.account is None else request.account.open
        in_pair = sum(t.notional for t in trades if t.pair == request.pair)
        on_side = sum(t.notional for t in trades if t.direction == request.direction)
        return {
            "pair": own.pairs.get(request.pair, own.pair) / 100 * equity - in_pair,
            "account": self.settings.max_percent / 100 * smallest,
            # A drawdown rule that cannot be read leaves no room.
            "headroom": 0.0
            if math.isnan(request.headroom)
            else request.headroom / loss * request.entry,
            "concentration": own.concentration / 100 * equity - on_side,
        }
