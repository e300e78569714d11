"""``quorum advise``: ask the advisors, in a process of its own."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from quorum.advisors.client import Client
from quorum.advisors.estimate import estimate
from quorum.advisors.fact_store import FactStore
from quorum.advisors.facts import FactReader
from quorum.advisors.keys import make_clients
from quorum.advisors.models import SIMULATED, price_of
from quorum.advisors.schedule import follow, past, refuse_remembered
from quorum.advisors.settings import AdvisorSettings
from quorum.advisors.simulated import Analyst, ProviderServer
from quorum.advisors.writer import Clock, MarketClock, Writer
from quorum.bot.advice import ledger_of
from quorum.bot.host import load_config, load_files, load_market, read_settings, whitelist
from quorum.candles import timeframe_ms
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.errors import DataError
from quorum.pipeline import evaluate
from quorum.settings import Settings

#: Seconds to wait for a lock of another process.
PATIENCE = 60.0
DAYS = ["%Y-%m-%d", "%Y%m%d"]


@command("advise")
def advise_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    only_estimate: Annotated[
        bool, typer.Option("--estimate", help="say what a week costs, and ask nothing")
    ] = False,
    once: Annotated[bool, typer.Option("--once", help="ask what is due now, and end")] = False,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=DAYS, help="ask about the past, from here")
    ] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=DAYS, help="up to here")] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="ask a scripted analyst on this machine")
    ] = False,
    skill: Annotated[
        float, typer.Option(min=0, max=1, help="with --simulated: answers that follow the facts")
    ] = 0.8,
) -> None:
    """Ask the advisors at the cadence of the settings, and write their answers to the ledger.

    Runs beside the bot, which notes the facts of its candles in the state and never waits.
    With ``--from`` it asks about candles on disk instead: such answers are retrospective.
    """
    logging.getLogger("quorum.advisors").setLevel(logging.INFO)
    loaded = load_files(config)
    settings = read_settings(loaded, str(loaded.get("timeframe", "1h")))
    if only_estimate:
        show_estimate(settings.advisors, len(whitelist(loaded)))
        return
    if (end or once) and start and once:
        raise DataError("--once asks what is due now; --from and --to ask about the past")
    if end and not start:
        raise DataError("--to needs --from")
    if start is None:
        ask_live(loaded, settings, once=once, simulated=simulated, skill=skill)
    else:
        until = end or datetime.now(tz=UTC)
        ask_past(
            load_config(config, datadir=datadir),
            settings,
            int(start.replace(tzinfo=UTC).timestamp() * 1000),
            int(until.replace(tzinfo=UTC).timestamp() * 1000),
            simulated=simulated,
            skill=skill,
        )


def show_estimate(settings: AdvisorSettings, pairs: int) -> None:
    """Print what a week costs."""
    table = Table("advisor", "calls", "tokens", "US dollars", "has read up to", title="a week")
    lines = estimate(settings, pairs)
    for line in lines:
        until = "not told"
        if line.cut_off is not None:
            until = f"{datetime.fromtimestamp(line.cut_off / 1000 - 1, tz=UTC):%Y-%m}"
        table.add_row(
            line.member.name,
            f"{line.calls:,}",
            f"{line.tokens:,}",
            f"{line.cost:.2f}" + ("" if line.known else " (price unknown: the dearest known)"),
            until,
        )
    console.print(table)
    cost, tokens = sum(line.cost for line in lines), sum(line.tokens for line in lines)
    console.print(
        f"about ${cost:.2f} and {tokens:,} tokens a week for {pairs} pairs; the budget allows "
        f"${7 * settings.money_per_day:.2f} and {7 * settings.tokens_per_day:,}",
        soft_wrap=True,
    )


@contextmanager
def make_writer(
    config: dict[str, Any],
    settings: Settings,
    clock: Clock,
    *,
    simulated: bool = False,
    skill: float = 0.8,
) -> Iterator[Writer]:
    """Give a writer that stops in an orderly way when the process is told to end."""
    with ExitStack() as stack:
        address = None
        if simulated:
            address = stack.enter_context(ProviderServer(Analyst(skill=skill))).url
        clients = make_clients(settings.advisors, config, address)
        # It may wait where a bot may not.
        ledger = ledger_of(config, settings, readonly=False, patience=PATIENCE)
        stack.callback(ledger.store.close)
        writer = Writer(ledger, settings.advisors, clients, clock)
        for client in clients.values():
            stack.callback(client.close)
            client.wait = writer.stopping.wait
        _say_what_is_missing(settings.advisors, clients, simulated=simulated)
        before = {
            number: signal.signal(number, lambda *_: writer.stopping.set())
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield writer
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _say_what_is_missing(
    settings: AdvisorSettings, clients: dict[str, Client], *, simulated: bool
) -> None:
    for member in settings.members:
        client = clients[member.name]
        if client.provider.needs_key and not client.key:
            variable = member.key_variable or client.provider.key_variable
            console.print(f"[yellow]{member.name} is silent[/]: {variable} is not set")
        if not simulated and not price_of(member.model, settings.prices)[1]:
            console.print(
                f"[yellow]the price of {member.model} is not known[/]: it counts as the dearest "
                "that is; set quorum.advisors.prices",
                soft_wrap=True,
            )


def ask_live(
    config: dict[str, Any], settings: Settings, *, once: bool, simulated: bool, skill: float
) -> None:
    """Ask at the candles of the running bot."""
    with make_writer(config, settings, Clock(), simulated=simulated, skill=skill) as writer:
        step = timeframe_ms(str(config.get("timeframe", "1h")))
        follow(writer, FactStore(writer.ledger.store), step, once=once)
        console.print(f"asked {writer.tally.total()} questions: {dict(writer.tally)}")


def ask_past(
    config: dict[str, Any],
    settings: Settings,
    start: int,
    end: int,
    *,
    simulated: bool,
    skill: float,
) -> None:
    """Ask about candles on disk; simulated answers as if they had been asked then."""
    advisors = settings.advisors
    if not simulated:
        refuse_remembered(advisors, start)
    anonymous = advisors.anonymous != "never" if not simulated else advisors.anonymous == "always"
    clock = MarketClock() if simulated else Clock()
    with make_writer(config, settings, clock, simulated=simulated, skill=skill) as writer:
        with console.status("measuring the facts") as status:
            readers = []
            for pair in whitelist(config):
                status.update(f"measuring the facts of {pair}")
                readers.append(FactReader(evaluate(load_market(config, settings, pair), settings)))
            past(
                writer,
                readers,
                start,
                end,
                anonymous=anonymous,
                daily=simulated,
                on_candle=lambda candle: status.update(f"asking about {_day(candle)}"),
            )
        label = f" (model ids begin with {SIMULATED!r})" if simulated else ""
        console.print(f"asked {writer.tally.total()} questions{label}: {dict(writer.tally)}")


def _day(candle: int) -> str:
    return f"{datetime.fromtimestamp(candle / 1000, tz=UTC):%Y-%m-%d %H:%M}"
