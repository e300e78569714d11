"""Account endpoints: balances, positions, leverage, income, and what is asked at start-up."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

from quorum.replay.binance import BAD_SYMBOL
from quorum.replay.live.account import FuturesAccount, Position, SpotAccount
from quorum.replay.live.exchange import Exchange
from quorum.replay.live.orders import plain, refuse
from quorum.replay.live.venue import Venue
from quorum.replay.server import Handler, Request

#: Numbers of Binance's errors.
NO_CHANGE = -4046
POSITION_EXISTS = -4048
BAD_LEVERAGE = -4028
MAX_LEVERAGE = 125


def holdings_routes(exchange: Exchange) -> dict[tuple[str, str], Handler]:
    """Return the account endpoints."""
    futures = FuturesHoldings(exchange)
    spot = SpotHoldings(exchange)
    handlers: dict[tuple[str, str], Any] = {
        ("GET", "/fapi/v2/account"): futures.account,
        ("GET", "/fapi/v3/account"): futures.account,
        ("GET", "/fapi/v2/balance"): futures.balance,
        ("GET", "/fapi/v3/balance"): futures.balance,
        ("GET", "/fapi/v2/positionRisk"): futures.position_risk_v2,
        ("GET", "/fapi/v3/positionRisk"): futures.position_risk,
        ("GET", "/fapi/v1/leverageBracket"): futures.leverage_brackets,
        ("GET", "/fapi/v1/positionSide/dual"): lambda *_: {"dualSidePosition": False},
        ("POST", "/fapi/v1/positionSide/dual"): lambda *_: {"code": 200, "msg": "success"},
        ("GET", "/fapi/v1/multiAssetsMargin"): lambda *_: {"multiAssetsMargin": False},
        ("POST", "/fapi/v1/leverage"): futures.set_leverage,
        ("POST", "/fapi/v1/marginType"): futures.set_margin_type,
        ("GET", "/fapi/v1/income"): futures.income,
        ("GET", "/fapi/v1/commissionRate"): futures.commission,
        ("GET", "/fapi/v1/symbolConfig"): futures.symbol_config,
    }
    spots: dict[tuple[str, str], Any] = {
        ("GET", "/api/v3/account"): spot.account,
        ("GET", "/sapi/v1/asset/tradeFee"): spot.trade_fees,
        ("GET", "/sapi/v1/capital/config/getall"): spot.coins,
        ("GET", "/sapi/v1/account/apiRestrictions"): spot.key_rights,
        ("GET", "/sapi/v1/spot/delist-schedule"): lambda *_: [],
    }
    routes = {route: exchange.signed(handler, "futures") for route, handler in handlers.items()}
    routes |= {route: exchange.signed(handler, "spot") for route, handler in spots.items()}
    # There is no margin trading; ccxt asks for its pairs wherever it has a key.
    for name in ("margin/allPairs", "margin/isolated/allPairs"):
        routes["GET", f"/sapi/v1/{name}"] = lambda _request: []
    routes["GET", "/sapi/v1/system/status"] = lambda _request: {"status": 0, "msg": "normal"}
    return routes


class FuturesHoldings:
    """Handlers of the futures account."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    @property
    def venue(self) -> Venue:
        """Where the account trades."""
        return self.exchange.venue("futures")

    @property
    def owned(self) -> FuturesAccount:
        """The account."""
        account = self.venue.account
        assert isinstance(account, FuturesAccount)
        return account

    def account(self, _request: Request, now: int) -> object:
        """Answer with balances and positions."""
        held = [p for p in self.owned.positions.values() if p.amount]
        asset = self._asset(now)
        return {
            "totalWalletBalance": asset["walletBalance"],
            "totalUnrealizedProfit": asset["unrealizedProfit"],
            "totalMarginBalance": asset["marginBalance"],
            "availableBalance": asset["availableBalance"],
            "canTrade": True,
            "assets": [asset],
            "positions": [self._position(position, now) for position in held],
        }

    def balance(self, _request: Request, now: int) -> object:
        """Answer with the balances."""
        asset = self._asset(now)
        return [{**asset, "balance": asset["walletBalance"]}]

    def _asset(self, now: int) -> dict[str, Any]:
        owned = self.owned
        orders = self.venue.open_orders
        held = [p for p in owned.positions.values() if p.amount]
        profit = sum(p.profit(self.venue.quote(p.symbol, now)) for p in held)
        margin = sum(p.margin for p in held)
        ordered = owned.order_margin(orders)
        return {
            "asset": owned.asset,
            "walletBalance": plain(owned.wallet),
            "unrealizedProfit": plain(profit),
            "marginBalance": plain(owned.wallet + profit),
            "maintMargin": plain(margin * self.exchange.settings.maintenance),
            "initialMargin": plain(margin + ordered),
            "positionInitialMargin": plain(margin),
            "openOrderInitialMargin": plain(ordered),
            "crossWalletBalance": plain(owned.wallet),
            "crossUnPnl": "0",
            "availableBalance": plain(max(0.0, owned.available(orders))),
            "maxWithdrawAmount": plain(max(0.0, owned.available(orders))),
            "updateTime": now,
        }

    def position_risk(self, request: Request, now: int) -> object:
        """Answer with the open positions."""
        symbol = request.parameters.get("symbol")
        return [
            self._position(position, now)
            for position in self.owned.positions.values()
            if position.amount and symbol in (None, position.symbol)
        ]

    def position_risk_v2(self, request: Request, now: int) -> object:
        """Answer with every symbol's position, leverage and margin type."""
        symbol = request.parameters.get("symbol")
        return [
            {
                **self._position(self.owned.position(name), now),
                "leverage": str(self.owned.position(name).leverage),
                "marginType": "isolated" if self.owned.position(name).isolated else "cross",
            }
            for name in self.venue.listings
            if symbol in (None, name)
        ]

    def _position(self, position: Position, now: int) -> dict[str, Any]:
        """Describe a position as ``GET /fapi/v3/positionRisk`` does."""
        price = self.venue.quote(position.symbol, now)
        notional = position.amount * price
        maintenance = self.exchange.settings.maintenance
        margin = position.margin + position.profit(price) if position.isolated else 0.0
        profit = plain(position.profit(price))
        return {
            "symbol": position.symbol,
            "positionSide": "BOTH",
            "positionAmt": plain(position.amount),
            "entryPrice": plain(position.entry),
            "breakEvenPrice": plain(position.entry),
            "markPrice": plain(self.venue.listings[position.symbol].mark.price(now)),
            "unRealizedProfit": profit,
            "unrealizedProfit": profit,
            "liquidationPrice": plain(position.liquidation(maintenance)),
            "isolated": position.isolated,
            "isolatedMargin": plain(margin),
            "isolatedWallet": plain(position.margin if position.isolated else 0.0),
            "notional": plain(notional),
            "marginAsset": self.owned.asset,
            "initialMargin": plain(position.margin),
            "maintMargin": plain(abs(notional) * maintenance),
            "positionInitialMargin": plain(position.margin),
            "openOrderInitialMargin": "0",
            "updateTime": now,
        }

    def _symbol(self, request: Request) -> str:
        symbol = request.parameters.get("symbol", "")
        if symbol not in self.venue.listings:
            refuse(BAD_SYMBOL, "Invalid symbol.")
        return symbol

    def set_leverage(self, request: Request, _now: int) -> object:
        """Set a symbol's leverage."""
        symbol, text = self._symbol(request), request.parameters.get("leverage", "")
        leverage = int(float(text)) if text.replace(".", "", 1).isdigit() else 0
        if not 1 <= leverage <= MAX_LEVERAGE:
            refuse(BAD_LEVERAGE, f"Leverage {text} is not valid.")
        self.owned.position(symbol).leverage = leverage
        return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": "1000000000"}

    def set_margin_type(self, request: Request, _now: int) -> object:
        """Set a symbol's margin type."""
        position = self.owned.position(self._symbol(request))
        isolated = request.parameters.get("marginType") == "ISOLATED"
        if isolated == position.isolated:
            refuse(NO_CHANGE, "No need to change margin type.")
        if position.amount:
            refuse(POSITION_EXISTS, "Margin type cannot be changed if there exists position.")
        position.isolated = isolated
        return {"code": 200, "msg": "success"}

    def income(self, request: Request, _now: int) -> object:
        """Answer with funding fees."""
        given = request.parameters
        start, end = int(given.get("startTime", 0)), int(given.get("endTime", 2**62))
        return [
            {**income, "income": plain(income["income"]), "info": "", "tradeId": ""}
            for income in self.owned.income
            if given.get("symbol") in (None, income["symbol"])
            and given.get("incomeType") in (None, income["incomeType"])
            and start <= income["time"] <= end
        ][: int(given.get("limit", 100))]

    def commission(self, request: Request, _now: int) -> object:
        """Answer with a symbol's fees."""
        maker, taker = self.exchange.settings.fees("futures")
        rates = {"makerCommissionRate": plain(maker), "takerCommissionRate": plain(taker)}
        return {"symbol": self._symbol(request), **rates}

    def symbol_config(self, request: Request, _now: int) -> object:
        """Answer with leverage and margin type of the symbols."""
        symbol = request.parameters.get("symbol")
        positions = [self.owned.position(name) for name in self.venue.listings]
        return [
            {
                "symbol": position.symbol,
                "marginType": "ISOLATED" if position.isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": position.leverage,
                "maxNotionalValue": "1000000000",
            }
            for position in positions
            if symbol in (None, position.symbol)
        ]

    def leverage_brackets(self, request: Request, _now: int) -> object:
        """Answer with leverage brackets: those the host bundles, so that dry runs see the same."""
        symbol = request.parameters.get("symbol")
        return [
            {"symbol": name, "notionalCoef": 1.0, "brackets": self._brackets(listing.rules.pair)}
            for name, listing in self.venue.listings.items()
            if symbol in (None, name)
        ]

    def _brackets(self, pair: str) -> list[dict[str, Any]]:
        found = [tier["info"] for tier in bundled_tiers().get(pair, ())]
        only = {
            "bracket": 1,
            "initialLeverage": 20,
            "notionalCap": 1e9,
            "notionalFloor": 0,
            "maintMarginRatio": self.exchange.settings.maintenance,
            "cum": 0.0,
        }
        return found or [only]


class SpotHoldings:
    """Handlers of the spot account, and of the wallet's endpoints."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def account(self, _request: Request, now: int) -> object:
        """Answer with the coins."""
        venue = self.exchange.venue("spot")
        owned = venue.account
        assert isinstance(owned, SpotAccount)
        locked = owned.locked(venue.open_orders)
        return {
            "canTrade": True,
            "accountType": "SPOT",
            "updateTime": now,
            "balances": [
                {
                    "asset": asset,
                    "free": plain(max(0.0, round(total - locked.get(asset, 0.0), 10))),
                    "locked": plain(locked.get(asset, 0.0)),
                }
                for asset, total in owned.total.items()
            ],
            "permissions": ["SPOT"],
        }

    def trade_fees(self, _request: Request, _now: int) -> object:
        """Answer with the fees of every symbol."""
        maker, taker = (plain(fee) for fee in self.exchange.settings.fees("spot"))
        return [
            {"symbol": name, "makerCommission": maker, "takerCommission": taker}
            for name in self.exchange.market.listings("spot")
        ]

    def coins(self, _request: Request, _now: int) -> object:
        """Answer with the coins there are; nothing can be paid in or out."""
        listings = self.exchange.market.listings("spot").values()
        names = {listing.rules.base for listing in listings} | {self.exchange.settings.asset}
        return [
            {
                "coin": name,
                "name": name,
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "networkList": [],
                "free": "0",
                "locked": "0",
            }
            for name in sorted(names)
        ]

    def key_rights(self, _request: Request, _now: int) -> object:
        """Answer with what the key may do."""
        return {
            "ipRestrict": True,
            "enableReading": True,
            "enableFutures": True,
            "enableSpotAndMarginTrading": True,
            "enableWithdrawals": False,
            "enableInternalTransfer": False,
            "permitsUniversalTransfer": False,
        }


@cache
def bundled_tiers() -> dict[str, list[dict[str, Any]]]:
    """Return the leverage tiers that come with the host, by pair; none without it."""
    package = importlib.util.find_spec("freqtrade")
    if package is None or not package.submodule_search_locations:
        return {}
    folder = Path(package.submodule_search_locations[0])
    path = folder / "exchange/binance_leverage_tiers.json"
    tiers: dict[str, list[dict[str, Any]]] = json.loads(path.read_text(encoding="utf-8"))
    return tiers
