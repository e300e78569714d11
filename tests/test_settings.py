"""Settings: defaults from the specification, bad values named by path and range."""

from __future__ import annotations

from pathlib import Path

import pytest

from quorum.errors import SettingsError
from quorum.heads import HEADS
from quorum.reference import settings_reference
from quorum.settings import Settings, load_settings

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
        ({"features": {"swings": {"left": 0}}}, r"quorum.features.swings.left = 0: .*equal to 1"),
        (["consensus"], r"quorum: must be a group of settings"),
    ],
)
def test_a_bad_value_is_refused_with_its_path_and_what_is_allowed(section, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(section)


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
