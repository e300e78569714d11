"""Where candidates were lost: from candles over votes, quorum and gate to entries."""

from __future__ import annotations

from collections.abc import Sequence

from quorum.funnel import Funnel
from quorum.report.page.blocks import Block, Cell, Section, Table, Text
from quorum.report.page.ledger import plain


def funnel_section(funnel: Funnel | None) -> Section | None:
    """Show what came how far, and what never did; None where it was not kept."""
    if funnel is None:
        return None
    blocks: list[Block] = [Text(sentence, "note") for sentence in funnel.silent]
    blocks.append(_steps(funnel))
    blocks += [Text(sentence[0].upper() + sentence[1:] + ".") for sentence in funnel.shares()]
    return Section("funnel", "What came how far?", blocks)


def _steps(funnel: Funnel) -> Table:
    largest = max(funnel.candles, 1)
    rows: list[Sequence[Cell | str]] = [
        [
            plain(name),
            Cell(f"{number:,}", bar=number / largest),
            *("" if side is None else f"{side:,}" for side in (long, short)),
        ]
        for name, number, long, short in funnel.steps()
    ]
    signals = funnel.either.signals
    caption = (
        f"Of {funnel.tradable:,} tradable candles {signals:,} gave a signal, {funnel.asked:,} "
        "were asked for (none while the pair has a trade), and "
        f"{sum(funnel.accepted.values()):,} were accepted."
    )
    return Table([("step", ""), ("candles", ""), ("long", ""), ("short", "")], rows, caption)
