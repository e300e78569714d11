"""The control endpoint of drills, ``/quorum/...``: clock, faults, and the truth of the account."""

from __future__ import annotations

import json
from typing import Any

from quorum.errors import DataError
from quorum.replay.live.clock import SharedClock
from quorum.replay.live.exchange import Exchange
from quorum.replay.live.orders import refuse
from quorum.replay.server import Handler, Request


def control_routes(exchange: Exchange) -> dict[tuple[str, str], Handler]:
    """Return the control endpoints; no fault befalls them."""
    control = Control(exchange)
    return {
        ("GET", "/quorum/clock"): control.clock,
        ("POST", "/quorum/clock"): control.set_clock,
        ("GET", "/quorum/faults"): control.faults,
        ("POST", "/quorum/faults"): control.add_faults,
        ("DELETE", "/quorum/faults"): control.clear_faults,
        ("GET", "/quorum/account"): control.account,
    }


class Control:
    """Handlers of the control endpoint."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def clock(self, _request: Request) -> dict[str, Any]:
        """Answer what time it is and how time goes."""
        clock = self.exchange.clock
        told: dict[str, Any] = {"now": clock.now(), "shift": self.exchange.market.shift}
        if isinstance(clock, SharedClock):
            told |= {"speed": clock.speed, "jump": clock.jump, "stop": clock.stop}
            told["file"] = str(clock.path)
        return told

    def set_clock(self, request: Request) -> object:
        """Change ``speed``, ``jump``, ``stop`` (0: none), or ``advance_to`` a time [ms]."""
        clock = self.exchange.clock
        if not isinstance(clock, SharedClock):
            refuse(-1, "the wall clock cannot be changed; start with a speed other than 1")
        wanted = _json(request)
        if not isinstance(wanted, dict):
            refuse(-1, "give an object with speed, jump, stop or advance_to")
        to = wanted.pop("advance_to", None)
        try:
            clock.set(**wanted)
            if to is not None:
                clock.advance_to(int(to))
        except (TypeError, ValueError, DataError) as error:
            refuse(-1, str(error))
        return self.clock(request)

    def faults(self, _request: Request) -> dict[str, Any]:
        """Answer with the faults in force and how often each kind was served."""
        faults = self.exchange.faults
        return {"active": faults.active(), "served": dict(faults.served)}

    def add_faults(self, request: Request) -> object:
        """Put a fault, or a list of them, in force; answer with their numbers."""
        wanted = _json(request)
        try:
            given = wanted if isinstance(wanted, list) else [wanted]
            return {"added": [self.exchange.faults.add(fault) for fault in given]}
        except (TypeError, DataError) as error:
            refuse(-1, str(error))

    def clear_faults(self, request: Request) -> object:
        """Take the fault with the given ``id`` out of force, or all."""
        number = request.parameters.get("id")
        self.exchange.faults.clear(int(number) if number else None)
        return self.faults(request)

    def account(self, _request: Request) -> object:
        """Answer with every order, fill, position and balance, whoever asks."""
        with self.exchange.lock:
            now = self.exchange.clock.now()
            told: dict[str, Any] = {"now": now}
            for mode, venue in self.exchange.venues().items():
                venue.catch_up(now)
                told[mode] = {
                    **venue.account.record(),
                    "orders": [order.record() for order in venue.orders.values()],
                    "executions": [vars(e) | {} for e in venue.executions],
                }
            return told


def _json(request: Request) -> Any:
    """Read the body of a request as JSON."""
    try:
        return json.loads(request.body)
    except ValueError as error:
        refuse(-1, f"the body is not JSON ({error})")
