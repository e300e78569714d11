"""RiskEngine: the guards with what they see of account and market (spec G).

A bot shows them the account of the host, a simulation its own; what follows from either is here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from quorum.account import AccountState
from quorum.guards import (
    EntryRequest,
    Guards,
    GuardSettings,
    LedgerStore,
    Permission,
    Reason,
    Transition,
)
from quorum.guards.base import QUIET
from quorum.risk.market import MarketView


class RiskEngine:
    """Observes one account and answers its entries.

    Parameters
    ----------
    limits : GuardSettings
    store : LedgerStore
    market : MarketView

    Attributes
    ----------
    guards : Guards
    closing : str or None
        Why every position must be closed, as it was last observed.
    seen : AccountState or None
        The account as it was last observed.
    """

    def __init__(self, limits: GuardSettings, store: LedgerStore, market: MarketView) -> None:
        self.limits = limits
        self.market = market
        self.guards = Guards(limits, store)
        self.closing: str | None = None
        self.seen: AccountState | None = None

    def observe(self, account: AccountState, errors: int = 0) -> tuple[Transition, ...]:
        """Let the guards look at the account and at the market of its moment.

        ``errors`` counts those of the exchange within the window of the settings.
        """
        self.seen = account
        changes = self.guards.observe(account, self.market.flags(account.at, errors))
        closing = self.guards.closing
        self.closing = None if closing is None else closing.value
        return changes

    def permit(
        self, request: EntryRequest, account: AccountState, quoted: float | None = None
    ) -> Permission:
        """Answer one entry by what was last observed; the market is quoted at a price.

        The correlation of the request is measured here.
        """
        pair, at = request.pair, request.at
        if Reason.MAX_CORRELATION not in request.unguarded:
            rho = self.market.correlation(pair, request.direction, at, account.open)
            request = replace(request, correlation=rho)
        return self.guards.permit(request, account, self.market.pair_flags(pair, at, quoted))

    def adds(
        self, pair: str, at: datetime, unguarded: frozenset[str], quoted: float | None = None
    ) -> bool:
        """Whether an open trade may be added to now."""
        guards = self.guards
        if self.closing is not None or guards.fault is not None:
            return False
        if not guards.lets_enter(unguarded):
            return False
        return not self.limits.system.enabled or self.market.pair_flags(pair, at, quoted) == QUIET
