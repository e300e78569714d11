"""What the simulation says of a run: random entries, and what each part is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quorum.report.page.inputs import Ablation, RandomEntries, Variant
from quorum.report.page.run import Run
from quorum.settings import Settings
from quorum.simulation import (
    Material,
    PortfolioSettings,
    RandomSettings,
    Row,
    ablate,
    books_of,
    random_entries,
    run_portfolio,
)

#: Tables of the page: the kind of the variants, what their whole is, and how it is called.
TABLES = (
    ("without head", "full", "head"),
    ("without adjuster", "full", "context"),
    ("without guard", "guards", "guard"),
)


def against_random(
    materials: Sequence[Material],
    settings: Settings,
    account: PortfolioSettings,
    run: Run,
    runs: int,
) -> RandomEntries | None:
    """Enter at random as often as the run did; None where the simulation takes no trade."""
    books = books_of(materials, settings)
    simulated = run_portfolio(books, settings, account)
    if not simulated.trades:
        return None
    found = random_entries(materials, books, simulated, RandomSettings(runs=runs))
    if found.trades == 0:
        return None
    note = (
        f"The simulation takes {len(simulated.trades):,} trades where the run took "
        f"{len(run.closed):,}."
    )
    if found.left_out:
        note += f" {found.left_out:,} of them have no random counterpart and are left out."
    return RandomEntries(
        measure="profit per trade",
        unit="R",
        actual=found.actual_r / found.trades,
        samples=found.total_r / found.trades,
        note=note,
    )


def ablations(
    materials: Sequence[Material],
    settings: Settings,
    account: PortfolioSettings,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Ablation, ...]:
    """Leave out every head, adjuster and guard in turn, and let every head decide alone."""
    rows = ablate(materials, settings, account, tell)
    alone = {row.name: row for row in rows if row.kind == "head alone"}
    found = []
    for kind, of_whole, title in TABLES:
        whole = next((row for row in rows if row.kind == of_whole), None)
        variants = [
            _variant(row, alone if kind == "without head" else {})
            for row in rows
            if row.kind == kind and not _silent(row, whole, alone)
        ]
        if whole is None:
            continue
        if title == "guard":
            variants.append(_renamed(rows[0], "any of them"))
        note = "These differences are of one history each and are not tested against luck."
        if title != "guard":
            note += " Guards are off here, so that every signal counts."
        found.append(Ablation(title, _renamed(whole, "nothing"), variants, note))
    return tuple(found)


def _silent(row: Row, whole: Row | None, alone: dict[str, Row]) -> bool:
    """Tell a head that never voted: nothing changes without it, and alone it does nothing."""
    return (
        row.kind == "without head"
        and whole is not None
        and row.profit == whole.profit
        and (row.name not in alone or alone[row.name].trades == 0)
    )


def _renamed(row: Row, name: str) -> Variant:
    return Variant(name, row.trades, row.profit_percent / 100, row.mean_r)


def _variant(row: Row, alone: dict[str, Row]) -> Variant:
    by_itself = alone.get(row.name)
    plain = _renamed(row, row.name.replace("_", " "))
    if by_itself is None:
        return plain
    return Variant(
        plain.name,
        plain.trades,
        plain.profit,
        plain.multiple,
        by_itself.trades,
        by_itself.profit_percent / 100,
        by_itself.mean_r,
    )
