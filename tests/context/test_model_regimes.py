"""A trained regime classifier takes the place of the rules where it speaks (spec M4 a)."""

from __future__ import annotations

import numpy as np
from markets import full_market

from quorum.context.regime import REGIMES, Regime, RegimeSettings
from quorum.features import compute_features
from quorum.features.predictions import REGIME

MARKET = full_market(2000)


def columns(*, model: bool = True, spoken: slice | None = None) -> dict[str, np.ndarray]:
    features = compute_features(MARKET)
    if spoken is not None:
        features.begin("models")
        for code, name in enumerate(REGIMES):
            values = np.full(len(MARKET), np.nan)
            values[spoken] = 0.65 if code == 6 else 0.05
            features.add(REGIME + name, values, scale_free=False)
    return Regime(RegimeSettings(model=model)).columns(MARKET, features)


def test_the_classifier_is_read_where_it_speaks_and_the_rules_elsewhere():
    rules, trained = columns(), columns(spoken=slice(1500, None))
    for name in rules:
        np.testing.assert_array_equal(trained[name][:1500], rules[name][:1500], err_msg=name)
    assert set(trained["regime"][1500:]) == {6.0}
    np.testing.assert_allclose(trained["regime_probability"][1500:], 0.65)
    assert not np.array_equal(trained["regime"], rules["regime"], equal_nan=True)


def test_the_rules_alone_can_be_asked_for():
    rules = columns()
    for name, values in columns(model=False, spoken=slice(1500, None)).items():
        np.testing.assert_array_equal(values, rules[name], err_msg=name)
