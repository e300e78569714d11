"""What every sizing method is given and what it returns (spec S)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from quorum.account import AccountState
from quorum.typing import Floats

if TYPE_CHECKING:
    from quorum.sizing.settings import SizingSettings

#: Every number of one calculation, by name; what is unknown or unlimited is a word.
Record: TypeAlias = dict[str, float | str]
#: Why a position that no order can be made of is refused.
BELOW_MINIMUM_ORDER = "below_minimum_order"


@dataclass(frozen=True)
class SizeRequest:
    """One trade to be sized.

    Only the first four are needed by every method; what is left at its default is unknown.

    Attributes
    ----------
    confidence : float
        Consensus confidence, 0-1.
    entry, stop : float
        Prices in the quote currency.
    capital : float
        What the percentages are of, quote currency.
    min_order : float
        The exchange's smallest position value, quote currency.
    multipliers : mapping of reason to factor
        What acted on the signal, in order, for example ``{"liquidation_risk": 0.5}``.
    pair : str
    direction : int
        +1 long, -1 short.
    confluence : float
        Confluence score, 0-100 (spec C7), NaN when unknown.
    reliability : float
        Consensus confidence before boosts (spec C7), NaN when unknown.
    risk_reward : float
        R:R of the first target, NaN when unknown.
    win_rate : float
        Expected win rate of such a trade, 0-1; NaN takes the confidence for it.
    regime_factor : float
        The regime's size factor (spec T2), which is also among ``multipliers``.
    account : AccountState or None
    returns : ndarray of shape (n_candles,), float64 or None
        Log returns of the pair, the last that of the candle of the signal; NaN where unknown.
    peers : mapping of pair to ndarray of shape (n_candles,), float64
        The same of the pair of every open trade; all end with the same candle.
    headroom : float
        Loss the drawdown rules still allow (spec G4), quote currency; infinite when unknown.
    guard_factor : float
        What the guards leave of the size, 0-1: acts last, on every method, and is not clamped.
    """

    confidence: float
    entry: float
    stop: float
    capital: float
    min_order: float = 0.0
    multipliers: Mapping[str, float] = field(default_factory=dict)
    pair: str = ""
    direction: int = 1
    confluence: float = math.nan
    reliability: float = math.nan
    risk_reward: float = math.nan
    win_rate: float = math.nan
    regime_factor: float = 1.0
    account: AccountState | None = None
    returns: Floats | None = None
    peers: Mapping[str, Floats] = field(default_factory=dict)
    headroom: float = math.inf
    guard_factor: float = 1.0

    @property
    def distance(self) -> float:
        """Distance of the stop as a fraction of the entry price."""
        return abs(self.entry - self.stop) / self.entry

    @property
    def equity(self) -> float:
        """Equity of the account, the capital where the account is unknown."""
        return self.capital if self.account is None else self.account.equity

    @property
    def balance(self) -> float:
        """Realised balance of the account, the capital where the account is unknown."""
        return self.capital if self.account is None else self.account.balance

    @property
    def problem(self) -> str | None:
        """Reason code for which no method can size this, None for a sound request."""
        if not _positive(self.capital):
            return "no_capital"
        if not _positive(self.equity):
            return "no_equity"
        if not _positive(self.balance):
            return "no_balance"
        if not (_positive(self.entry) and _positive(self.stop)):
            return "bad_price"
        if not math.isfinite(self.confidence):
            return "no_confidence"
        for name, factor in {**self.multipliers, "guards": self.guard_factor}.items():
            if not _positive(factor):
                return f"{name}={factor:g}"
        return None


@dataclass(frozen=True)
class Size:
    """A sized trade.

    Attributes
    ----------
    fraction : float
        Position value as a fraction of the capital, 0 when refused.
    notional : float
        Position value, quote currency (the stake is this over the leverage).
    risk_amount : float
        What is lost at the stop before costs, quote currency.
    reasons : tuple of str
        What acted on the size, ``name=factor``; when it is 0, the last says why.
    trailing_stop : float or None
        Distance of the trailing stop that the method asks for, fraction of the best price.
    record : dict
        Every number of the calculation; fit for JSON.
    """

    fraction: float
    notional: float
    risk_amount: float
    reasons: tuple[str, ...]
    trailing_stop: float | None = None
    record: Record = field(default_factory=dict)


def refused(*reasons: str, record: Record | None = None) -> Size:
    """Return the size of a trade that is not taken; the last reason is why."""
    return Size(0.0, 0.0, 0.0, reasons, record={**(record or {}), "refused": reasons[-1]})


def noted(numbers: Mapping[str, float]) -> Record:
    """Return numbers as a record keeps them: JSON knows neither NaN nor infinity."""
    words = {math.inf: "unlimited", -math.inf: "below any"}
    return {
        name: "unknown" if math.isnan(value) else words.get(value, float(value))
        for name, value in numbers.items()
    }


def factors_of(request: SizeRequest) -> dict[str, float]:
    """Return the request's multipliers under the names a record keeps them."""
    return {f"factor_{name}": factor for name, factor in request.multipliers.items()}


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0


class SizingMethod(ABC):
    """One way to turn a signal into a position value.

    A method overrides :meth:`_sized` and is registered in ``METHODS``.
    """

    name: ClassVar[str]

    def __init__(self, settings: SizingSettings) -> None:
        self.settings = settings

    def size(self, request: SizeRequest) -> Size:
        """Size one trade; what cannot be sized is refused with its reason."""
        problem = request.problem
        record: Record = {"method": self.name, "pair": request.pair}
        return self._sized(request, record) if problem is None else refused(problem, record=record)

    @abstractmethod
    def _sized(self, request: SizeRequest, record: Record) -> Size:
        """Size a sound request; its numbers go into ``record``."""

    def _factored(self, request: SizeRequest, reasons: list[str], record: Record) -> float:
        """Return the product of all multipliers, kept over the least, and note what acted."""
        reasons += [f"{name}={factor:g}" for name, factor in request.multipliers.items()]
        product = math.prod(request.multipliers.values())
        kept = max(product, self.settings.least_product)
        if kept != product:
            reasons.append(f"least_product={kept / product:.3g}")
        record.update(noted({"product": product, "multiplier": kept}))
        return kept

    def _placed(
        self,
        request: SizeRequest,
        notional: float,
        reasons: list[str],
        record: Record,
        trailing_stop: float | None = None,
    ) -> Size:
        """Finish the size of one trade.

        1. Cap at ``max_percent`` of the capital.
        2. What the guards leave of it.
        3. Refuse what is under the smallest order: a lifted order would exceed its size.
        """
        largest = self.settings.max_percent / 100 * request.capital
        if notional > largest:
            notional = largest
            reasons.append(f"max_percent={self.settings.max_percent:g}%")
        factor = min(request.guard_factor, 1.0)
        if factor != 1.0:
            notional *= factor
            reasons.append(f"guards={factor:.3g}")
        smallest = max(self.settings.min_order, request.min_order)
        fraction, risk = notional / request.capital, notional * request.distance
        record.update(
            noted(
                {
                    "capital": request.capital,
                    "entry": request.entry,
                    "stop": request.stop,
                    "stop_distance": request.distance,
                    "confidence": request.confidence,
                    "guard_factor": factor,
                    "min_order": smallest,
                    "fraction": fraction,
                    "notional": notional,
                    "risk_amount": risk,
                }
            )
        )
        # A NaN is not under anything: what is not at least the smallest order is refused.
        if not notional >= smallest or notional <= 0:
            return refused(*reasons, BELOW_MINIMUM_ORDER, record=record)
        return Size(fraction, notional, risk, tuple(reasons), trailing_stop, record)
