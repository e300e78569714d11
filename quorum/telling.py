"""What a signal says to a person: one sentence, and what to beware of (spec E)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorum.entry import Signal

SIDES = {1: "long", -1: "short", 0: "flat"}


def reasoning(s: Signal) -> str:
    """Return one sentence: who agrees, what it is worth, where it stands, what it risks."""
    heads = {
        word: [name for name, vote in s.votes.items() if vote.direction == side]
        for word, side in (("for", s.direction), ("against", -s.direction))
    }
    voices = ", ".join(heads["for"])
    against = f" against {', '.join(heads['against'])}" if heads["against"] else ""
    parts = [
        f"{SIDES[s.direction].capitalize()} {s.symbol}: {s.agreeing_heads} of {s.total_heads} "
        f"heads agree ({voices}){against}, stated confidence {s.consensus_confidence:.2f}",
        _worth(s),
        f"{_entry(s)} with the stop at {s.stop_loss:.6g} ({_why(s.stop_reasoning)})",
        f"the first target at {s.take_profit:.6g}, {s.risk_reward_ratio:.1f} R "
        f"({_why(s.take_profit_reasoning)})",
        f"{s.position_size_pct:.2f} % of the capital at work, {s.risk_amount:.2f} at risk for "
        f"{s.reward_amount:.2f}",
    ]
    return "; ".join(parts) + "."


def _worth(s: Signal) -> str:
    if s.measured_r is None or s.measured_win_rate is None:
        return f"{s.signal_quality} quality, no measure of earlier signals yet"
    return (
        f"{s.signal_quality} quality, earlier ones like it won {s.measured_win_rate:.0%} and made "
        f"{s.measured_r:+.2f} R a trade"
    )


def _entry(s: Signal) -> str:
    zone = "a range that is not known" if s.entry_zone_status is None else s.entry_zone_status
    how = s.entry_strategy.replace("_", " ")
    regime = "" if s.regime is None else f" of a {s.regime.replace('_', ' ')} market"
    return f"{how} entry at {s.entry_price:.6g} in {zone}{regime}"


def _why(reason: object) -> str:
    return getattr(reason, "text", None) or "not told"


def warnings(s: Signal) -> tuple[str, ...]:
    """Return what speaks against a signal, worst first; nothing where nothing does."""
    return tuple(_warnings(s))


def _warnings(s: Signal) -> Iterator[str]:
    if s.measured_r is not None and s.measured_r <= 0:
        yield f"earlier signals like it did not break even ({s.measured_r:+.2f} R a trade)"
    if s.liquidation_risk_detected:
        yield "a cluster of liquidations is near on the losing side"
    if s.extreme_leverage_detected:
        crowd = "its own" if "crowded_leverage" in _factors(s) else "the other"
        yield f"leverage is crowded on {crowd} side"
    if "timeframes_against" in _factors(s):
        yield "the timeframes are aligned against it"
    elif "timeframe_alignment" in _factors(s):
        yield "the timeframes are not aligned with it"
    wrong = {1: "premium", -1: "discount"}[s.direction]
    if s.entry_zone_status == wrong:
        yield f"it stands in {wrong} of the dealing range"
    yield from (text for text in s.context.get("divergences", ()) if "against" in text)
    if s.context.get("risk_level") == "high":
        yield f"the regime is dangerous ({(s.regime or '').replace('_', ' ')})"
    if s.context.get("phase_action") in ("stay out", "enter smaller"):
        phase = str(s.context.get("market_phase", "")).replace("_", " ")
        yield f"the market's phase ({phase}) asks for less of it"


def _factors(s: Signal) -> set[str]:
    """Return the names of the factors that acted on the size."""
    return {reason.split("=", 1)[0] for reason in s.reasons}
