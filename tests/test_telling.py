"""What a signal says to a person: reasoning, warnings, levels, why stop and target stand there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from published import agreeing, published, table_of

from quorum.bot.notices import entry_lines
from quorum.entry import Account, Signal, draw_up
from quorum.settings import Settings, load_settings

PAIR = "SOL/USDT:USDT"
TWO_LEVELS = {
    "support_1": 97.0, "support_edge_1": 96.9, "support_strength_1": 0.7, "support_touches_1": 3.0,
    "resistance_1": 106.0, "resistance_edge_1": 106.2, "resistance_strength_1": 0.5,
    "resistance_touches_1": 2.0, "swing_high_near": 101.0,
}  # fmt: skip


def signal_of(side: int = 1, settings: Settings | None = None, **columns) -> Signal:
    frame = published([[*agreeing(7, 0.80, 0.85, side)[:8], (-side, 0.6, 0.55)]], **columns)
    settings = settings or Settings()
    return draw_up(table_of(frame), 0, PAIR, 100.0, Account(100_000.0), settings)


def test_the_record_says_in_one_sentence_why():
    s = signal_of(zone_position=0.2, regime=0.0, regime_probability=0.6, regime_view=0.0,
                  **TWO_LEVELS)  # fmt: skip
    text = s.reasoning
    assert text.startswith(f"Long {PAIR}: 7 of 9 heads agree (technical, sentiment,")
    for part in (
        "against crypto",
        f"stated confidence {s.consensus_confidence:.2f}",
        "immediate entry at 100 in discount of a strong bull market",
        f"stop at {s.stop_loss:.6g} (0.2 % under the zone of the support at 97 (3 touches, "
        "strength 0.70))",
        f"{s.position_size_pct:.2f} % of the capital",
    ):
        assert part in text, part
    assert text.endswith(".")
    assert "\n" not in text
    assert signal_of(-1).reasoning.startswith(f"Short {PAIR}")


def test_why_stop_and_target_stand_where_they_do_is_kept_in_numbers():
    s = signal_of(**TWO_LEVELS)
    assert s.stop_reasoning.model_dump() == {
        "text": "0.2 % under the zone of the support at 97 (3 touches, strength 0.70)",
        "level": 97.0, "touches": 3.0, "strength": 0.7,
    }  # fmt: skip
    # The swing at 101 pays too little and is passed for the level.
    assert s.take_profit_reasoning.level == 106.0
    assert s.take_profit_reasoning.touches == 2.0
    assert "0.5 % before the resistance at 106" in s.take_profit_reasoning.text
    swing = signal_of(swing_high_near=103.5)
    assert swing.take_profit_reasoning.text == "0.5 % before the swing high at 103.5"
    plain = signal_of(-1)
    assert plain.stop_reasoning.text.startswith("1.5 ATR from the entry, no level that carries")
    assert plain.take_profit_reasoning.text == "3.00 R, what the very high band aims at"
    assert plain.take_profit_reasoning.level is None
    by_atr = signal_of(1, load_settings({"exits": {"stop": {"method": "atr"}}}), **TWO_LEVELS)
    assert by_atr.stop_reasoning.text == "1.5 ATR from the entry, by ATR"


def test_a_stop_that_a_phase_tightens_still_names_its_level():
    s = signal_of(phase=0.0, phase_alt=1.0, phase_eth_btc=1.0, **TWO_LEVELS)
    factor = s.context["stop_factor"]
    assert s.stop_reasoning.level == 97.0
    assert s.stop_reasoning.text.endswith(f"its distance times {factor:g}")


def test_levels_side_reasoning_and_warnings_are_in_the_stored_record():
    s = signal_of(**TWO_LEVELS)
    stored = s.model_dump(mode="json")
    assert stored["side"] == "long"
    assert stored["reasoning"] == s.reasoning
    assert [level["price"] for level in stored["take_profit_levels"]] == list(s.ladder)
    assert [level["share"] for level in stored["take_profit_levels"]] == list(s.ladder_shares)
    assert stored["take_profit_levels"][0]["r"] == pytest.approx(s.risk_reward_ratio)
    assert Signal.model_validate(stored) == s


AGAINST = {
    "alignment": 0.9, "alignment_side": -1.0, "trend_up": 0.1, "trend_down": 0.9, "dominant": -1.0,
    "trend_1d": -0.5, "pattern_1d": 2.0, "rsi_divergence": -1.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "warning"),
    [
        ({"crowd": 1.0, "premium": 0.008}, "leverage is crowded on its own side"),
        ({"crowd": -1.0, "premium": -0.008}, "leverage is crowded on the other side"),
        ({"zone_position": 0.9}, "it stands in premium of the dealing range"),
        (AGAINST, "the timeframes are aligned against it"),
        (AGAINST, "bearish divergence of price and RSI, against the signal"),
        ({"regime": 5.0, "regime_probability": 0.9}, "the regime is dangerous (strong bear)"),
    ],
)
def test_what_speaks_against_a_signal_is_said(columns, warning):
    assert warning in signal_of(**columns).warnings
    assert signal_of().warnings == ()


def test_what_did_not_break_even_is_said():
    from quorum.signals import Measured

    frame = published([agreeing(7, 0.80, 0.85)])
    table = table_of(frame)
    measured = Measured(np.array([0.65]), np.array([0.28]), np.array([-0.05]), table.band)
    table = replace(table, measured=measured, band=np.array([1], np.int8))
    s = draw_up(table, 0, PAIR, 100.0, Account(100_000.0), Settings())
    assert s.warnings == ("earlier signals like it did not break even (-0.05 R a trade)",)
    assert "earlier ones like it won 28% and made -0.05 R a trade" in s.reasoning


def test_the_entry_notification_tells_quality_zone_flags_regime_and_probability():
    class Opened:
        pair, is_short, id, open_rate, amount, stake_currency = PAIR, False, 7, 100.0, 2.0, "USDT"

    s = signal_of(zone_position=0.9, crowd=0.0, premium=0.0, regime=0.0, regime_probability=0.6)
    text = "\n".join(entry_lines(Opened, s))
    for part in (
        f"{s.signal_quality} quality, probability {s.consensus_probability:.2f}, "
        f"confluence {s.confluence_score:.0f}",
        "zone premium, wait pullback entry, regime strong bull, liquidation risk not known, "
        "extreme leverage no",
        "beware: it stands in premium of the dealing range",
    ):
        assert part in text, part
