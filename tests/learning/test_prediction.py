"""Prediction: which models are live when, and what they make of signals (spec M4 d, M7, C11)."""

from __future__ import annotations

import json

import numpy as np
import pytest
from published import NAMES, WEIGHTS, agreeing, published
from vintages import fill

from quorum.candles import DAY_MS, epoch_ms
from quorum.consensus import Band, ConsensusSettings
from quorum.entry import Account, draw_up
from quorum.errors import DataError
from quorum.learning.classifier import FittedClassifier
from quorum.learning.head_calibration import HeadMap
from quorum.learning.manifest import VintageManifest
from quorum.learning.prediction import Models, live_vintage
from quorum.learning.settings import LearningSettings
from quorum.learning.signal_rows import signal_columns, signal_rows
from quorum.learning.store import ModelStore
from quorum.learning.vintage import HEADS_FILE, META, RETURNS_FILE, LoadedVintage
from quorum.settings import Settings
from quorum.signals import SignalTable, decide

#: Nobody, five heads, nobody, five heads short, six heads: rows 1, 3 and 4 are entries.
ROWS = [
    agreeing(0, 0.8, 0.8),
    agreeing(5, 0.8, 0.8),
    agreeing(0, 0.8, 0.8),
    agreeing(5, 0.8, 0.8, side=-1),
    agreeing(6, 0.8, 0.8),
]
FRAME = published(ROWS)
TIME = epoch_ms(FRAME["date"])
HOUR = int(TIME[1] - TIME[0])


def vintage(
    valid_from: int, wins: float = 0.35, *, heads: tuple[str, ...] = NAMES, **standings: object
) -> LoadedVintage:
    """Return a vintage whose meta-model knows a base rate: 2 R for a win, -1 R for a loss."""
    meta = FittedClassifier("lightgbm", (0, 1), signal_columns(heads), np.array([1 - wins, wins]))
    manifest = VintageManifest(
        key="made-by-hand",
        valid_from=valid_from,
        cut_off=valid_from - DAY_MS,
        horizon_ms=0,
        embargo_ms=0,
        train_start=0,
        rows=1,
        timeframe="1h",
        pairs=("SOL/USDT:USDT",),
        features=(),
        labels={},
        models={},
        files={},
        created=0,
    )
    files = {**meta.files(META), RETURNS_FILE: json.dumps({"win": 2.0, "loss": -1.0}).encode()}
    if standings:
        files[HEADS_FILE] = json.dumps({"calibration": {}, "weights": {}, **standings}).encode()
    return LoadedVintage(manifest, files)


def decided(*vintages: LoadedVintage, consensus=None, **learning: object) -> SignalTable:
    models = Models(vintages, LearningSettings.model_validate(learning), "1h")
    return models.decide(FRAME, TIME, NAMES, WEIGHTS, consensus or ConsensusSettings())


def plain() -> SignalTable:
    return decide(FRAME, TIME, NAMES, WEIGHTS, ConsensusSettings())


def test_the_newest_vintage_speaks_from_its_date_until_it_is_too_old():
    starts = np.array([100, 200])
    at = np.array([99, 100, 199, 200, 250, 251])
    assert live_vintage(starts, at, 50.0).tolist() == [-1, 0, -1, 1, 1, -1]
    assert live_vintage(starts[:0], at, 50.0).tolist() == [-1] * 6


def test_the_chain_in_use_is_followed_and_one_that_lacks_a_vintage_never_speaks(tmp_path):
    store = ModelStore(tmp_path / "models")
    models = Models(store, LearningSettings(), "1h")
    assert models.vintages == ()
    first, second = (m.key for m in fill(store, 0, 30))
    store.publish([first], "first")
    assert [v.manifest.key for v in models.vintages] == [first]
    store.publish([first, second], "both")
    manifest = store.root / "vintages" / second / "manifest.json"
    kept = manifest.read_bytes()
    manifest.unlink()
    for _ in range(2):  # not only the first time: the earlier chain is not in use any more
        with pytest.raises(DataError, match=f"vintage {second} is missing"):
            assert models.vintages
    manifest.write_bytes(kept)
    assert [v.manifest.key for v in models.vintages] == [first, second]


def test_every_entry_carries_what_the_vintage_of_its_moment_expects():
    # The second takes over when the candle of row 3 closes.
    table = decided(vintage(int(TIME[0]), 0.35), vintage(int(TIME[4]), 0.50))
    assert table.entry.tolist() == plain().entry.tolist() == [0, 1, 0, -1, 1]
    np.testing.assert_allclose(table.win_rate, [np.nan, 0.35, np.nan, 0.50, 0.50])
    np.testing.assert_allclose(table.expected_r, [np.nan, 0.05, np.nan, 0.50, 0.50])


def test_before_the_first_vintage_and_beyond_the_age_of_the_last_nothing_is_expected():
    late = decided(vintage(int(TIME[4])))
    assert np.isfinite(late.win_rate).tolist() == [False, False, False, True, True]
    old = decided(vintage(int(TIME[2]) - 30 * DAY_MS + HOUR), max_age_days=30)
    assert np.isfinite(old.win_rate).tolist() == [False, True, False, False, False]


def test_without_vintages_or_with_the_meta_model_off_signals_stay_as_they_are():
    assert decided().win_rate is None
    assert decided(vintage(0), meta={"enabled": False}).win_rate is None


def test_the_signal_promises_what_the_meta_model_expects_and_else_what_its_band_does():
    settings = Settings()
    judged = decided(vintage(int(TIME[0])))
    signal = draw_up(judged, 1, "SOL/USDT:USDT", 100.0, Account(1e5), settings)
    assert signal.expected_win_rate == pytest.approx(0.35)
    assert signal.expected_r == pytest.approx(0.05)
    assert "35% wins at" in signal.promise
    assert signal.promise.endswith("+0.05 R a trade after costs (meta-model)")
    by_rule = draw_up(plain(), 1, "SOL/USDT:USDT", 100.0, Account(1e5), settings)
    assert by_rule.expected_win_rate > 0.5
    assert by_rule.expected_r is None
    assert by_rule.promise.endswith("(rule of the band)")


def test_as_confidence_a_win_rate_is_brought_to_even_odds():
    # 0.6 x 2 R against 0.4 x 1 R: three parts of four are profit.
    table = decided(vintage(int(TIME[0]), 0.60), meta={"confidence": True})
    assert table.entry.tolist() == [0, 1, 0, -1, 1]
    np.testing.assert_allclose(table.consensus.confidence[[1, 3, 4]], 0.75)
    assert set(table.band[[1, 3, 4]]) == {Band.HIGH}
    # 0.35 x 2 R against 0.65 x 1 R is worth 0.52 at even odds: under the gate.
    assert not decided(vintage(int(TIME[0]), 0.35), meta={"confidence": True}).entry.any()


def test_a_meta_model_of_other_heads_is_refused_with_what_differs():
    with pytest.raises(DataError, match=r"vote_|confidence_"):
        decided(vintage(int(TIME[0]), heads=NAMES[:8]))


def test_weights_follow_outcomes_from_the_date_of_their_vintage():
    settings = ConsensusSettings(weights="outcomes")
    loud = {NAMES[0]: 0.9, NAMES[1]: 0.1}
    table = decided(vintage(int(TIME[4]), weights=loud), consensus=settings)
    fixed = plain().consensus.confluence
    # Row 1 has fixed weights; on row 4 the two heads with a weight agree, so .8 is the whole.
    assert table.consensus.confluence[1] == fixed[1]
    assert table.consensus.confluence[4] == pytest.approx(80.0)
    assert fixed[4] < 80.0


def test_calibrated_confidences_are_hit_rates_from_the_date_of_their_vintage():
    half = HeadMap((0.0, 1.0), (0.5, 0.5)).to_json()
    maps = {name: half for name in NAMES}
    settings = ConsensusSettings(calibrated=True)
    table = decided(vintage(int(TIME[4]), calibration=maps), consensus=settings)
    # At 0.50 no vote is valid any more; before the vintage they are as stated.
    assert table.entry.tolist() == [0, 1, 0, 0, 0]
    np.testing.assert_array_equal(table.votes.confidence[4, :6], 0.5)
    assert table.votes.confidence[4, 6] == 0.0, "a flat vote stays flat"


def test_a_signal_and_its_mirror_image_look_the_same_to_the_meta_model():
    sided = {"crowd": 1.0, "premium": 0.002, "alignment_side": 1.0, "phase_leader": -1.0}
    regimes = {"regime_strong_bull": 0.6, "regime_strong_bear": 0.1}
    long = published([ROWS[1]], **sided, **regimes, zone_position=0.3, liquidation_below=0.02)
    mirrored = {name: -value for name, value in sided.items()}
    turned = {"regime_strong_bull": 0.1, "regime_strong_bear": 0.6}
    short = published([ROWS[3]], **mirrored, **turned, zone_position=0.7, liquidation_above=0.02)
    tables = [decide(f, TIME[:1], NAMES, WEIGHTS, ConsensusSettings()) for f in (long, short)]
    one, other = (signal_rows(table, np.array([0]))[0] for table in tables)
    names = signal_columns(NAMES)
    assert one.shape == (len(names),)
    assert (one[-1], other[-1], names[-1]) == (1.0, -1.0, "side")
    np.testing.assert_allclose(one[:-1], other[:-1])
    assert one[names.index("for_strong_bull")] == pytest.approx(0.6)
    assert one[names.index("room")] == pytest.approx(0.7)
