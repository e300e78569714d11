"""Models trained with something else than is in force are refused, not used (spec M13)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trained_markets import settings, small_training
from vintages import START

from quorum.bot.models import BotModels
from quorum.candles import DAY_MS
from quorum.errors import DataError
from quorum.features import compute_features, feature_constants
from quorum.features.predictions import SIGNAL_UP
from quorum.learning.dataset import feature_names
from quorum.learning.manifest import ChainManifest, Vintage, to_json
from quorum.learning.prediction import Models
from quorum.learning.requirements import expected_models
from quorum.learning.store import ModelStore
from quorum.pipeline import evaluate
from quorum.settings import Settings, load_settings

PAIRS = ("BTC/USDT:USDT", "ETH/USDT:USDT")
ICT_OFF = {"heads": {"ict": {"enabled": False}}}


def vintage(
    key: str, day: int = 0, section: dict[str, Any] | None = None, **changes: Any
) -> Vintage:
    """Return a vintage trained with the settings of a section, but for some fields."""
    timeframe = changes.pop("timeframe", "1h")
    made = expected_models(load_settings(section or {}), timeframe, PAIRS)
    content = {
        "key": key,
        "valid_from": START + (10 + day) * DAY_MS,
        "cut_off": START + day * DAY_MS,
        "horizon_ms": DAY_MS,
        "embargo_ms": DAY_MS,
        "train_start": START,
        "rows": 100,
        "timeframe": timeframe,
        "pairs": PAIRS,
        "features": made.features,
        "labels": made.labels,
        "models": {"features": made.settings},
        "heads": made.heads,
    }
    return Vintage(**{**content, **changes})


def published(folder: Path, *vintages: Vintage) -> ModelStore:
    """Store vintages and put them in use as a chain, whether they fit together or not."""
    store = ModelStore(folder / "models" / "quorum")
    for one in vintages:
        store.write(one, {"signal/model.txt": b"never read"})
    name = f"chain-{'-'.join(one.key for one in vintages)}"
    chain = ChainManifest(
        id=name,
        created=1,
        timeframe=vintages[0].timeframe,
        features_hash=vintages[0].features_hash,
        vintages=tuple(one.key for one in vintages),
        reason="test",
    )
    (store.root / "chains").mkdir(exist_ok=True)
    (store.root / "chains" / f"{name}.json").write_bytes(to_json(chain))
    (store.root / "CURRENT").write_text(f"{name}\n")
    return store


def refusal(folder: Path, section: dict[str, Any] | None = None, pairs: tuple[str, ...] = PAIRS):
    """Return why the models of a user directory are refused at start; None where they fit."""
    try:
        BotModels(folder, load_settings(section or {}), "1h").require(pairs)
    except DataError as error:
        return str(error)
    return None


def test_models_trained_with_what_is_in_force_are_taken(tmp_path):
    published(tmp_path, vintage("a"), vintage("b", 30))
    assert refusal(tmp_path) is None
    assert refusal(tmp_path, pairs=PAIRS[:1]) is None, "one model knows all its pairs"


def with_atr(period: int) -> dict[str, Any]:
    """Return what a version notes of its features whose ATR has another period."""
    noted = feature_constants()
    noted["volatility"]["atr"] = period
    return {"features": noted}


def with_regime_window(candles: int) -> dict[str, Any]:
    """Return what a version notes of its labels whose regimes are seen from elsewhere."""
    noted = expected_models(Settings(), "1h", PAIRS).labels
    return {**noted, "regimes": {**noted["regimes"], "window": candles}}


DIFFERENCES = {
    "a feature constant of another version": (
        vintage("a", models=with_atr(15)),
        "quorum.features.volatility.atr: trained with 15, in this version 14",
    ),
    "a label setting": (
        vintage("a", section={"learning": {"labels": {"horizon": 7}}}),
        "quorum.learning.labels.horizon: trained with 7, configured",
    ),
    "a regime label of another version": (
        vintage("a", labels=with_regime_window(40)),
        "quorum.learning.regimes.window: trained with 40, configured",
    ),
    "a head off in training": (
        vintage("a", section=ICT_OFF),
        "quorum.heads.ict.enabled: trained with False, configured True",
    ),
    "other pairs": (
        vintage("a", pairs=("BTC/USDT:USDT", "SOL/USDT:USDT")),
        "pairs: trained with BTC/USDT:USDT, SOL/USDT:USDT; ETH/USDT:USDT traded, not among them",
    ),
    "another market of the same coins": (
        vintage("a", pairs=("BTC/USDT", "ETH/USDT")),
        "BTC/USDT:USDT, ETH/USDT:USDT traded, not among them",
    ),
    "another timeframe": (vintage("a", timeframe="4h"), "trained on 4h, used on 1h"),
    "a feature of another version": (
        vintage("a", features=(*expected_models(Settings(), "1h", PAIRS).features[1:], "gone")),
        "features the model needs and are not there: gone",
    ),
    "heads that were not noted": (vintage("a", heads=None), "heads: they were not noted"),
    "feature constants that were not noted": (
        vintage("a", models={}),
        "quorum.features: their constants were not noted",
    ),
}


@pytest.mark.parametrize(("made", "said"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_whatever_differs_is_named_with_both_values_and_the_command_that_helps(
    tmp_path, made, said
):
    store = published(tmp_path, made)
    found = refusal(tmp_path)
    assert found is not None
    assert said in found
    assert "`quorum train`" in found
    assert str(store.root) in found


def test_a_head_switched_off_after_the_training_is_such_a_difference(tmp_path):
    published(tmp_path, vintage("a"))
    found = refusal(tmp_path, ICT_OFF)
    assert found is not None
    assert "quorum.heads.ict.enabled: trained with True, configured False" in found


def test_every_snapshot_of_the_chain_must_fit_not_only_the_newest(tmp_path):
    store = published(tmp_path, vintage("a"), vintage("b", 30, heads=("ict",)), vintage("c", 60))
    found = refusal(tmp_path)
    assert found is not None
    assert "quorum.heads.technical.enabled: trained with False, configured True" in found
    assert "(vintage b)" in found
    with pytest.raises(DataError, match=r"vintage b cannot follow a in one chain: quorum\.heads"):
        store.publish(["a", "b", "c"], "test")


def test_without_models_or_with_models_switched_off_nothing_is_refused(tmp_path):
    assert refusal(tmp_path) is None
    published(tmp_path, vintage("a", heads=("ict",)))
    assert refusal(tmp_path, {"learning": {"enabled": False}}) is None


def test_a_running_bot_keeps_its_chain_when_a_retrained_one_does_not_fit(tmp_path, caplog):
    fits, another = vintage("a"), vintage("b", 30, section=ICT_OFF)
    published(tmp_path, fits)
    models = BotModels(tmp_path, Settings(), "1h", remember=True)
    models.require(PAIRS)
    before = models.in_use()
    published(tmp_path, another)
    for _ in range(3):  # asked at every candle, told once
        assert models.in_use() == before
    (told,) = [r.message for r in caplog.records if "do not fit" in r.message]
    assert "quorum.heads.ict.enabled: trained with False, configured True" in told
    assert told.endswith(f"chain {before[0]} stays in use")
    published(tmp_path, fits, vintage("c", 60))
    assert models.in_use()[2] == "2 vintages", "one that fits is taken up again"


def test_a_bot_that_began_without_models_does_not_take_up_ones_that_do_not_fit(tmp_path, caplog):
    models = BotModels(tmp_path, Settings(), "1h", remember=True)
    models.require(PAIRS)
    published(tmp_path, vintage("b", section=ICT_OFF))
    assert models.in_use() is None
    assert "no model votes" in caplog.text


def test_a_training_notes_heads_and_feature_settings_and_fits_what_it_was_made_with():
    made = small_training()
    wanted = expected_models(settings(), "1h", made.plan.pairs)
    models = Models(made.store, settings().learning, "1h", expected=wanted)
    models.require()
    assert models.vintages
    assert {v.manifest.heads for v in models.vintages} == {wanted.heads}
    fewer = Models(
        made.store,
        settings().learning,
        "1h",
        expected=replace(wanted, heads=wanted.heads[:-1]),
    )
    with pytest.raises(DataError, match=rf"quorum\.heads\.{wanted.heads[-1]}\.enabled"):
        fewer.require()


def test_models_say_nothing_of_a_pair_that_joins_later_and_they_do_not_know(caplog):
    made = small_training()
    models = Models(made.store, settings().learning, "1h")
    market = made.plan.load(made.plan.pairs[0])
    known = evaluate(market, settings(), models).features
    assert np.isfinite(known[SIGNAL_UP]).any()
    for _ in range(2):
        other = evaluate(replace(market, pair="SOL/USDT:USDT"), settings(), models).features
        assert SIGNAL_UP not in other or not np.isfinite(other[SIGNAL_UP]).any()
    assert caplog.text.count("SOL/USDT:USDT was not among the pairs") == 1


def test_the_columns_models_learn_from_are_those_of_every_market():
    made = small_training()
    market = made.plan.load(made.plan.pairs[0])
    found = feature_names(compute_features(market))
    assert expected_models(settings(), "1h", ()).features == found
