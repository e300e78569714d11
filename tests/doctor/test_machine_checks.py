"""Checks of the doctor that look at the exchange, keys, folders, databases and models."""

from __future__ import annotations

import stat
import time
from dataclasses import replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from doctor_setups import HOUR, PAIRS, SILENT, Answers, changed, sound_setup, worst

from quorum.doctor import DoctorSettings, Layer, Level, Setup, examine
from quorum.doctor.base import at_path
from quorum.doctor.keys import SECRETS, variable
from quorum.learning.manifest import Vintage
from quorum.learning.requirements import expected_models
from quorum.learning.store import ModelStore
from quorum.settings import load_settings


@pytest.fixture
def sound(tmp_path) -> Setup:
    return sound_setup(tmp_path)


@pytest.mark.parametrize(("limit", "calls"), [(499, 3), (1401, 1), (1400, 2), (281, 5), (280, 6)])
def test_start_up_requests_are_counted_as_the_host_counts_them(sound, limit, calls):
    finding = worst(replace(sound, exchange=Answers(limit=limit)), "start-up")
    assert f"{calls} requests per pair" in finding.what
    assert finding.level is (Level.PROBLEM if calls > 5 else Level.OK)


@pytest.mark.parametrize(
    ("offset", "level"),
    [(0, Level.OK), (499, Level.OK), (-700, Level.WARNING), (1500, Level.PROBLEM)],
)
def test_a_clock_that_is_off_is_found(sound, offset, level):
    assert worst(replace(sound, exchange=Answers(offset=offset)), "clock").level is level


def test_without_an_answer_nothing_is_claimed(sound):
    setup = changed(replace(sound, exchange=SILENT), exchange__key="k" * 20)
    for check in ("clock", "listed pairs", "keys"):
        (finding,) = examine(setup, [check])
        assert finding.level is Level.HINT
        assert "not checked" in finding.what


def test_a_pair_the_exchange_does_not_list_is_found(sound):
    finding = worst(replace(sound, exchange=Answers(listed=PAIRS[:1])), "listed pairs")
    assert finding.level is Level.PROBLEM
    assert PAIRS[1] in finding.where


@pytest.mark.parametrize(
    ("rights", "level", "named"),
    [
        ({"enableWithdrawals": True, "enableFutures": True}, Level.PROBLEM, "enableWithdrawals"),
        ({"enableWithdrawals": "true"}, Level.PROBLEM, "enableWithdrawals"),
        ({"enableFutures": False}, Level.PROBLEM, "enableFutures"),
        ({"enableFutures": True, "ipRestrict": False}, Level.WARNING, "ipRestrict"),
        ({"permitsUniversalTransfer": True}, Level.WARNING, "permitsUniversalTransfer"),
        ({"enableFutures": True, "ipRestrict": True}, Level.OK, ""),
    ],
)
def test_rights_of_a_key_are_judged(sound, rights, level, named):
    setup = changed(replace(sound, exchange=Answers(rights=rights)), exchange__key="k" * 20)
    finding = worst(setup, "keys")
    assert finding.level is level
    assert named in finding.where


@pytest.mark.parametrize(
    ("mode", "level"),
    [(0o644, Level.PROBLEM), (0o640, Level.WARNING), (0o600, Level.HINT)],
)
def test_a_file_with_a_secret_that_others_can_read_is_found(sound, tmp_path, mode, level):
    path = tmp_path / "keys.json"
    path.write_text("{}")
    path.chmod(mode)
    secret = {"exchange": {"secret": "never-show-this"}}
    finding = worst(replace(sound, layers=(Layer("keys.json", path, secret),)), "secrets")
    assert finding.level is level
    assert "exchange.secret" in finding.where
    assert "FREQTRADE__EXCHANGE__SECRET" in finding.fix
    assert "never-show-this" not in repr(finding)
    assert stat.S_IMODE(path.stat().st_mode) == mode, "nothing is changed"


def test_a_secret_in_the_environment_is_no_finding(sound):
    layer = Layer("environment", None, {"exchange": {"key": "x"}})
    assert worst(replace(sound, layers=(layer,)), "secrets").level is Level.OK


def test_every_secret_has_a_variable():
    assert variable("telegram.token") == "FREQTRADE__TELEGRAM__TOKEN"
    assert variable("exchange.apiKey") == "FREQTRADE__EXCHANGE__API_KEY", "what the host reads"
    assert all(at_path({p.split(".")[0]: {p.split(".")[1]: 1}}, p) == 1 for p in SECRETS)


def test_a_folder_that_cannot_be_written_to_is_found(sound):
    (sound.user_data / "logs").write_text("a file is in the way")
    finding = worst(sound, "folders")
    assert (finding.level, finding.where) == (Level.PROBLEM, str(sound.user_data / "logs"))


def test_looking_at_folders_leaves_nothing_behind(sound):
    before = sorted(sound.user_data.rglob("*"))
    examine(sound, ["folders", "databases"])
    assert sorted(sound.user_data.rglob("*")) == before
    assert not Path(sound.databases["db_url"].removeprefix("sqlite:///")).exists()


def test_a_full_disk_is_told_in_time(sound):
    setup = replace(sound, limits=DoctorSettings(free_disk=1e9))
    assert worst(setup, "folders").level is Level.WARNING


@pytest.mark.parametrize(
    ("url", "level", "what"),
    [
        ("sqlite://", Level.WARNING, "memory"),
        ("no url", Level.PROBLEM, "no database URL"),
        ("sqlite:////proc/nowhere/trades.sqlite", Level.PROBLEM, "cannot be made"),
        ("postgresql+psycopg://me:hush-hush@127.0.0.1:1/x", Level.PROBLEM, "cannot be opened"),
        ("oracle+nothing://me:hush-hush@host/x", Level.PROBLEM, "cannot be opened"),
    ],
)
def test_a_database_that_does_not_answer_is_found_and_its_password_kept(sound, url, level, what):
    finding = worst(replace(sound, databases={"db_url": url}), "databases")
    assert finding.level is level
    assert what in finding.what
    assert "hush-hush" not in repr(finding)


def test_a_file_that_is_no_database_is_found(sound, tmp_path):
    path = tmp_path / "trades.sqlite"
    path.write_text("this is no database, whatever its name says")
    finding = worst(sound, "databases")
    assert finding.level is Level.PROBLEM
    assert "not a database" in finding.what


def test_versions_out_of_range_and_missing_packages_are_found(sound):
    for name, wanted in (("numpy", "<1"), ("no-such-package", ">=1"), ("python", ">=99")):
        finding = worst(replace(sound, requirements={name: wanted}), "versions")
        assert finding.level is Level.PROBLEM
        assert finding.where == f"{name}{wanted}"


# Models -----------------------------------------------------------------------------------


def publish(
    sound: Setup, *, age_days=10.0, timeframe="1h", pairs=PAIRS, horizon=None, **settings
) -> ModelStore:
    """Publish a chain of one vintage, by the real store."""
    cut_off = int(1000 * (sound.now - 86_400 * age_days)) - 3 * HOUR
    section = {} if horizon is None else {"labels": {"horizon": horizon}}
    wanted = expected_models(load_settings({"learning": section, **settings}), timeframe, pairs)
    store = ModelStore(sound.user_data / "models" / "quorum")
    vintage = Vintage(
        key="20231101-a", valid_from=cut_off + 3 * HOUR, cut_off=cut_off, horizon_ms=HOUR,
        embargo_ms=HOUR, train_start=0, rows=9000, timeframe=timeframe, pairs=tuple(pairs),
        features=wanted.features, labels=wanted.labels, models={"features": wanted.settings},
        heads=wanted.heads,
    )  # fmt: skip
    store.write(vintage, {"signal.txt": b"a model"})
    store.publish(["20231101-a"], "test")
    return store


def test_without_models_the_heads_abstain(sound):
    assert worst(sound, "models").level is Level.HINT


@pytest.mark.parametrize(
    ("changes", "level", "what"),
    [
        ({}, Level.OK, "1 vintages, whole"),
        ({"age_days": 46.0}, Level.WARNING, "46 days old"),
        ({"age_days": 76.0}, Level.PROBLEM, "they no longer vote"),
        ({"timeframe": "4h"}, Level.PROBLEM, "trained on 4h, used on 1h"),
        ({"horizon": 7}, Level.PROBLEM, "quorum.learning.labels.horizon: trained with 7"),
        ({"pairs": PAIRS[:1]}, Level.PROBLEM, f"{PAIRS[1]} traded, not among them"),
        (
            {"heads": {"ict": {"enabled": False}}},
            Level.PROBLEM,
            "quorum.heads.ict.enabled: trained with False, configured True",
        ),
    ],
)
def test_the_age_and_fit_of_the_models_are_judged(sound, changes, level, what):
    publish(sound, **changes)
    finding = worst(sound, "models")
    assert finding.level is level
    assert what in finding.what


WITH_LSTM = {"ensemble": {"members": ["lightgbm", "xgboost", "lstm"]}}


@pytest.mark.parametrize(
    ("installed", "graphics", "learning", "level", "what"),
    [
        ("2.13.0+cpu", True, {}, Level.OK, "a build for the CPU, trains the LSTM"),
        ("2.13.0", False, {}, Level.OK, "a build for the CPU, trains the LSTM"),
        ("2.13.0", True, {}, Level.HINT, "a build for graphics cards"),
        (None, False, {}, Level.HINT, "is served here, but not trained"),
        (None, False, {"retrain": True}, Level.PROBLEM, "is served here, but not trained"),
    ],
)
def test_which_pytorch_is_there_is_told_where_an_lstm_is_wanted(
    sound, monkeypatch, installed, graphics, learning, level, what
):
    def version(name):
        if installed is None:
            raise PackageNotFoundError(name)
        return installed

    module = import_module("quorum.doctor.pytorch")
    monkeypatch.setattr(module, "version", version)
    monkeypatch.setattr(module, "_for_graphics_cards", lambda: graphics)
    assert worst(sound, "pytorch").what == "no LSTM is wanted, so PyTorch is not"
    settings = load_settings({"learning": {**WITH_LSTM, **learning}})
    finding = worst(replace(sound, settings=settings), "pytorch")
    assert finding.level is level
    assert what in finding.what


def test_models_that_are_switched_off_are_not_looked_at(sound):
    publish(sound, timeframe="4h")
    settings = load_settings({"learning": {"enabled": False}})
    assert worst(replace(sound, settings=settings), "models").level is Level.OK


def test_a_damaged_model_is_found(sound):
    store = publish(sound)
    (store.root / "vintages" / "20231101-a" / "signal.txt").write_bytes(b"another model")
    finding = worst(sound, "models")
    assert finding.level is Level.PROBLEM
    assert "corrupted" in finding.what


def test_all_checks_together_are_quick(sound):
    began = time.perf_counter()
    examine(sound)
    assert time.perf_counter() - began < 2
