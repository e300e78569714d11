"""The trade card: one trade in one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from quorum.context.base import told
from quorum.entry import Signal
from quorum.report.trades import TradeRecord
from quorum.telling import SIDES

#: Characters of a line at most.
WIDTH = 156


def card_lines(trade: TradeRecord) -> Iterator[str]:
    """Yield the lines of one trade's card (rich markup)."""
    signal = trade.signal
    opened = f"{trade.opened:%Y-%m-%d %H:%M} UTC"
    yield f"[bold]{trade.pair} {SIDES[trade.direction]}[/]  opened {opened}"
    if signal is None:
        yield "[yellow]no signal is stored with this trade[/]"
    else:
        yield from _wrapped(signal.reasoning)
        if signal.warnings:
            yield from _wrapped(f"[yellow]beware[/]  {'; '.join(signal.warnings)}")
        yield from _votes(signal)
        yield from _context(signal)
        yield from _size(signal)
        yield from _exits(signal)
    yield from _outcome(trade)


def _votes(signal: Signal) -> Iterator[str]:
    yield (
        f"[bold]votes[/]  {signal.agreeing_heads} of {signal.total_heads} agree   probability "
        f"{signal.consensus_probability:.3f}   confidence {signal.consensus_confidence:.3f} "
        f"({signal.confidence_band.replace('_', ' ')}, {signal.signal_quality})   "
        f"confluence {signal.confluence_score:.1f}"
    )
    for name, vote in signal.votes.items():
        if vote.direction == 0:
            yield f"  {name:<10} flat"
            continue
        colour = "green" if vote.direction == signal.direction else "red"
        yield (
            f"  {name:<10} [{colour}]{SIDES[vote.direction]:<5}[/] {vote.probability:.2f} / "
            f"{vote.confidence:.2f}  {vote.reason}"
        )


def _context(signal: Signal) -> Iterator[str]:
    facts = ", ".join(
        f"{key.replace('_', ' ')} {told(v)}"
        for key, v in signal.context.items()
        if not isinstance(v, dict)
    )
    yield from _wrapped(f"[bold]context[/]  {facts or 'nothing is known'}")


def _wrapped(text: str) -> Iterator[str]:
    """Yield a long text in lines that a screen holds."""
    yield from textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _size(signal: Signal) -> Iterator[str]:
    yield (
        f"[bold]size[/]  {signal.position_size_pct:.3f} % of capital = "
        f"{signal.position_size_quote:.2f}   ({', '.join(signal.reasons)})   at risk "
        f"{signal.risk_amount:.2f} for {signal.reward_amount:.2f}"
    )
    yield f"[bold]promised[/]  {signal.promise}"
    if signal.measured_r is not None:
        yield (
            f"[bold]measured[/]  {signal.measured_confidence:.3f} beside "
            f"{signal.consensus_confidence:.3f} stated: earlier ones won "
            f"{signal.measured_win_rate:.0%}, {signal.measured_r:+.2f} R"
        )


def _exits(signal: Signal) -> Iterator[str]:
    risk = abs(signal.entry_price - signal.stop_loss)
    rungs = "   ".join(
        f"{share:.0%} at {price:g} ({abs(price - signal.entry_price) / risk:.1f} R)"
        for price, share in zip(signal.ladder, signal.ladder_shares, strict=True)
    )
    yield (
        f"[bold]entry[/]  {signal.entry_price:g} ({signal.entry_strategy})   [bold]stop[/] "
        f"{signal.stop_loss:g} ({signal.stop_kind}, {100 * risk / signal.entry_price:.2f} %)"
    )
    yield f"[bold]ladder[/]  {rungs}"


def _outcome(trade: TradeRecord) -> Iterator[str]:
    yield "[bold]what happened[/]"
    for fill in trade.fills:
        kind = "in " if fill.entry else "out"
        yield f"  {fill.at:%Y-%m-%d %H:%M}  {kind} {fill.amount:g} at {fill.price:g}  {fill.tag}"
    if trade.closed is None:
        yield "  still open"
        return
    colour = "green" if trade.profit > 0 else "red"
    multiple = "" if trade.r_multiple is None else f"   {trade.r_multiple:+.2f} R"
    hours = (trade.closed - trade.opened).total_seconds() / 3600
    yield (
        f"  [{colour}]{trade.profit:+.2f} ({100 * trade.profit_ratio:+.2f} %)[/]{multiple}   "
        f"{trade.exit_reason} after {hours:g} h   best {trade.best:g}   worst {trade.worst:g}   "
        f"funding {trade.funding:+.4f}"
    )
