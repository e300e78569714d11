"""Settings: defaults from the specification, bad values named by path and range."""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quorum.errors import SettingsError
from quorum.heads import HEADS
from quorum.reference import settings_reference
from quorum.settings import MOVED, Settings, load_settings

ROOT = Path(__file__).parent.parent


def test_nothing_configured_gives_the_defaults():
    assert load_settings(None) == load_settings({}) == Settings()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"consensus": {"quorom": 5}},
            r"quorum.consensus.quorom: unknown setting \(known: .*quorum",
        ),
        ({"sizeing": {}}, r"quorum.sizeing: unknown setting \(known: .*sizing"),
        ({"consensus": {"gate": 1.5}}, r"quorum.consensus.gate = 1.5: .*less than or equal to 1"),
        ({"sizing": {"basis": "lots"}}, r"quorum.sizing.basis = 'lots': .*'notional' or 'risk'"),
        ({"exits": {"stop": {"max_risk": 0}}}, r"quorum.exits.stop.max_risk = 0: .*greater than 0"),
        ({"leverage": "high"}, r"quorum.leverage = 'high': .*valid number"),
        ({"leverage": float("nan")}, r"quorum.leverage = nan: .*finite"),
        ({"weights": {"technical": -0.1}}, r"quorum.weights.technical = -0.1: .*equal to 0"),
        ({"heads": {"ict": {"no_such": 1}}}, r"quorum.heads.ict.no_such: unknown setting"),
        ({"market": {"gap_candles": 0}}, r"quorum.market.gap_candles = 0: .*equal to 1"),
        (
            {"sizing": {"win_rate": [1.2, 0.7, 0.6]}},
            r"quorum.sizing.win_rate.0 = 1.2: .*less than or equal to 1",
        ),
        (
            {"sizing": {"win_rate": [0.6, 0.7, 0.8]}},
            r"quorum.sizing.*win_rate must fall from very high to medium",
        ),
        ({"guards": {"drawdown": {"daily": 12.0}}}, r"guards.drawdown.*daily 12 is over total 10"),
        (
            {"learning": {"max_age_days": 20}},
            r"quorum.learning.*max_age_days 20 is under folds.refit_days 30",
        ),
        (
            {"learning": {"ensemble": {"members": ["xgboost", "xgboost"]}}},
            r"quorum.learning.ensemble.members = .*each member once",
        ),
        (
            {"learning": {"ensemble": {"members": ["xgboost", "forest"]}}},
            r"quorum.learning.ensemble.members = .*no member forest; there are lightgbm, xgboost",
        ),
        ({"guards": {"system": {"reference": ""}}}, r"quorum.guards.system.reference = ''"),
        ({"guards": {"system": {"reference": " "}}}, r"quorum.guards.system.reference = ' '"),
        ({"market": {"context": ["BTC", ""]}}, r"quorum.market.context.1 = ''"),
        (["consensus"], r"quorum: must be a group of settings"),
    ],
)
def test_a_bad_value_is_refused_with_its_path_and_what_is_allowed(section, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(section)


def leaves(tree: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def test_a_setting_that_was_removed_is_refused_with_the_value_it_is_fixed_at():
    """The file holds every setting there ever was, with its default."""
    text = (ROOT / "tests/settings_of_first_version.json").read_text(encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(json.loads(text))
    refused = dict(line.strip().split(": ", 1) for line in str(caught.value).splitlines()[1:])
    known = dict(leaves(Settings().model_dump(mode="json")))
    for path, value in leaves(json.loads(text)):
        if path in known:
            continue
        if path in MOVED:
            assert refused[f"quorum.{path}"] == f"is now quorum.{MOVED[path]}"
            assert MOVED[path] in known
        else:
            sentence = refused[f"quorum.{path} = {value!r}"]
            assert sentence.startswith("no longer a setting, fixed at ")
            fixed = literal_eval(sentence.removeprefix("no longer a setting, fixed at "))
            assert json.loads(json.dumps(fixed)) == value, path
    assert not [path for path in refused if path.removeprefix("quorum.") in known]


def test_settings_are_few():
    assert len(dict(leaves(Settings().model_dump()))) <= 250


def test_every_bad_value_is_named_at_once():
    with pytest.raises(SettingsError) as caught:
        load_settings({"leverage": 0, "consensus": {"gate": 2, "x": 1}})
    assert str(caught.value).count("\n") == 3


def test_settings_cannot_be_changed_after_loading():
    with pytest.raises(ValueError, match="frozen"):
        Settings().leverage = 5  # type: ignore[misc]


def test_a_disabled_head_is_not_asked():
    settings = load_settings({"heads": {"rules": {"enabled": False}}})
    assert [head.name for head in settings.enabled_heads()] == [
        head.name for head in HEADS if head.name != "rules"
    ]


def test_the_default_weights_of_the_classical_heads_sum_to_one():
    weights = Settings().head_weights()
    classical = [weights[name] for name in weights if name not in ("signal", "ensemble")]
    assert len(classical) == 9
    assert sum(classical) == pytest.approx(1.0)


def test_every_setting_is_described_with_its_range():
    text = settings_reference()
    for line in text.splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), f"no description: {line}"


def test_the_committed_reference_is_current():
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == settings_reference()


def test_the_shipped_configuration_is_valid():
    from freqtrade.configuration.load_config import load_from_files

    config = load_from_files([str(ROOT / "config.json")])
    assert load_settings(config["quorum"]) == Settings()
    assert config["dry_run"] is True
    assert not config["exchange"]["key"]
    assert not config["exchange"]["secret"]
