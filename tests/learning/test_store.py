"""The model store: what is kept, what is refused and how it is said."""

from __future__ import annotations

import json
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vintages import DAY, FEATURES, LABELS, START, contents, fill, tree, vintage

from quorum.errors import DataError
from quorum.extras import MissingLibraryError
from quorum.learning.disk import StoreError
from quorum.learning.manifest import Expected, Vintage, dated_name
from quorum.learning.store import ModelStore

FITTING = Expected(FEATURES, "1h", LABELS)


@pytest.fixture
def store(tmp_path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def test_a_vintage_is_read_as_it_was_written(store):
    written = store.write(vintage(), contents())
    again = ModelStore(store.root)
    assert again.find(written.key) == written == again.verify(written.key)
    assert {name: again.read(written.key, name) for name in written.files} == contents()
    assert written.metrics == {"signal": {"log_loss": 1.01, "auc": 0.53}, "ece": None}
    assert written.libraries["numpy"] == np.__version__
    assert again.vintages() == (written,)
    again.check(written, FITTING)


def test_reading_where_nothing_was_written_finds_nothing_and_makes_nothing(store):
    assert (store.current(), store.vintages(), store.chains(), store.history()) == (
        None,
        (),
        (),
        (),
    )
    assert store.find("20240101T000000-0123456789abcdef") is None
    with pytest.raises(DataError, match="there is no such vintage"):
        store.read("x", "y")
    assert not store.root.exists()


def test_writing_a_whole_vintage_again_keeps_the_first(store):
    first = store.write(vintage(), contents())
    before = tree(store.root)
    again = vintage(metrics={"signal": {"auc": 0.9}}, libraries={})
    assert store.write(again, {"other": b"bytes"}) == first
    assert tree(store.root) == before


def test_another_vintage_of_the_same_key_is_refused_naming_what_differs(store):
    store.write(vintage(), contents())
    before = tree(store.root)
    other = vintage(rows=7, models={"signal": {"rounds": 300}})
    with pytest.raises(DataError, match=r"another vintage has this key") as refused:
        store.write(other, contents())
    assert "vintage.rows: trained with 1234, configured 7" in str(refused.value)
    assert "models.signal.rounds: trained with 200, configured 300" in str(refused.value)
    assert tree(store.root) == before


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone", "foreign", "manifest", "empty"])
def test_a_damaged_vintage_is_replaced_by_writing_it_again(store, damage):
    key = store.write(vintage(), contents()).key
    before = {k: v for k, v in tree(store.root).items() if not k.endswith("manifest.json")}
    folder = store.root / "vintages" / key
    path = folder / "signal" / "member-0.ubj"
    {
        "cut": lambda: path.write_bytes(path.read_bytes()[:-1]),
        "flipped": lambda: path.write_bytes(b"x" + path.read_bytes()[1:]),
        "gone": path.unlink,
        "foreign": lambda: (folder / "signal" / "stray.txt").touch(),
        "manifest": lambda: (folder / "manifest.json").write_bytes(b'{"format_version": 1,'),
        "empty": lambda: (folder / "manifest.json").write_bytes(b""),
    }[damage]()
    with pytest.raises(DataError):
        store.verify(key)
    store.write(vintage(), contents())
    store.verify(key)
    after = {k: v for k, v in tree(store.root).items() if not k.endswith("manifest.json")}
    assert after == before


def test_damage_is_named(store):
    manifest = store.write(vintage(), contents())
    folder = store.root / "vintages" / manifest.key
    (folder / "stray.txt").touch()
    with pytest.raises(DataError, match=r"not of this vintage: \['stray.txt'\]"):
        store.check(manifest, FITTING)
    (folder / "ensemble.json").write_bytes(b'{"weights": [2]}')
    with pytest.raises(DataError, match=r"ensemble.json: corrupted, its checksum"):
        store.check(manifest, FITTING)
    with pytest.raises(DataError, match=r"ensemble.json: corrupted"):
        store.read(manifest.key, "ensemble.json")
    (folder / "ensemble.json").unlink()
    with pytest.raises(DataError, match=r"ensemble.json: missing file of vintage"):
        store.check(manifest, FITTING)
    with pytest.raises(DataError, match=r"has no file 'nothing', only \['empty'"):
        store.read(manifest.key, "nothing")


def edit(path, **changes):
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


def test_a_manifest_that_was_edited_is_refused(store):
    manifest = store.write(vintage(), contents())
    path = store.root / "vintages" / manifest.key / "manifest.json"
    edit(path, valid_from=START)
    with pytest.raises(DataError, match=r"does not match its checksum, it was changed"):
        store.find(manifest.key)
    assert store.vintages() == ()


@pytest.mark.parametrize("found", [0, 2, None, "1"])
def test_another_format_version_is_refused_naming_both(store, found):
    key = store.write(vintage(), contents()).key
    chain = store.publish([key], "first")
    for path in (
        store.root / "vintages" / key / "manifest.json",
        store.root / "chains" / f"{chain.id}.json",
    ):
        edit(path, format_version=found)
    for read in (lambda: store.find(key), store.current):
        with pytest.raises(DataError, match=f"format version {found}, this Quorum reads 1"):
            read()


def test_a_manifest_in_the_folder_of_another_is_refused(store):
    first, second = fill(store, 0, 1)
    folder = store.root / "vintages"
    text = (folder / first.key / "manifest.json").read_bytes()
    (folder / second.key / "manifest.json").write_bytes(text)
    with pytest.raises(DataError, match=f"is the manifest of vintage {first.key}, not of"):
        store.find(second.key)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (
            Expected(FEATURES[1:], "1h", LABELS),
            "features the model needs and are not there: rsi_14",
        ),
        (
            Expected((*FEATURES, "new_1", "new_2"), "1h", LABELS),
            "features the model does not know: new_1, new_2",
        ),
        (
            Expected(("zero", *FEATURES[1:]), "1h", LABELS),
            "not there: rsi_14; features the model does not know: zero",
        ),
        (
            Expected((FEATURES[1], FEATURES[0], *FEATURES[2:]), "1h", LABELS),
            "features in another order: atr_share where rsi_14 was, rsi_14 where atr_share was",
        ),
        (Expected((), "1h", LABELS), "btc_return_4, hour_sin and 2 more"),
        (
            Expected((*FEATURES, FEATURES[0]), "1h", LABELS),
            "features in another order: 7 trained, 8 used",
        ),
        (Expected(FEATURES, "4h", LABELS), "timeframe: trained on 1h, used on 4h"),
        (
            Expected(FEATURES, "1h", {**LABELS, "costs": {"fee": 0.001, "slippage": 0.0002}}),
            "labels.costs.fee: trained with 0.0005, configured 0.001",
        ),
        (
            Expected(FEATURES, "1h", {"horizon": 48, "upper": 2.0}),
            "labels.costs.fee: trained with 0.0005, configured (not set)",
        ),
        (
            Expected(FEATURES, "1h", {**LABELS, "regime_window": 21}),
            "labels.regime_window: trained with (not set), configured 21",
        ),
    ],
)
def test_a_vintage_that_does_not_fit_is_refused_naming_what_differs(store, expected, said):
    manifest = store.write(vintage(), contents())
    with pytest.raises(DataError, match="does not fit, train again") as refused:
        store.check(manifest, expected)
    assert said in str(refused.value)
    assert manifest.key in str(refused.value)


def test_all_differences_are_named_at_once(store):
    manifest = store.write(vintage(), contents())
    with pytest.raises(DataError) as refused:
        store.check(manifest, Expected(FEATURES[:-1], "15m", {**LABELS, "upper": 3.0}))
    for said in ("adx_14", "trained on 1h, used on 15m", "labels.upper: trained with 2.0"):
        assert said in str(refused.value)


def test_settings_may_be_tuples_or_numpy_numbers(store):
    manifest = store.write(vintage(labels={"bands": [1, 2], "upper": 2.0}), contents())
    store.check(manifest, Expected(FEATURES, "1h", {"bands": (1, 2), "upper": np.float64(2.0)}))


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_key_follows_from_all_that_decides_the_vintage(data):
    json_like = st.dictionaries(st.text(max_size=4), st.integers() | st.booleans(), max_size=4)
    first, second = data.draw(json_like), data.draw(json_like)
    key = dated_name(START, FEATURES, first)
    assert key.startswith("20231114T000000-")
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (key == dated_name(START, FEATURES, second)) == same
    assert key == dated_name(START, list(FEATURES), dict(reversed(first.items())))


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a//b", "manifest.json", ".hidden", "", "a/../b", "a\\b", "a/"]
)
def test_a_file_cannot_be_written_outside_its_vintage(store, name):
    with pytest.raises(DataError, match="cannot be the name of a file of a vintage"):
        store.write(vintage(), {name: b"x"})
    assert not store.root.exists()


@pytest.mark.parametrize("name", ["../x", "", "a/b", ".", "x" * 101])
def test_a_name_cannot_lead_out_of_the_store(store, name):
    for call in (store.find, store.verify, store.chain, store.promote):
        with pytest.raises(DataError, match="is not the name of a"):
            call(name)
    with pytest.raises(ValueError, match="key"):
        vintage(key=name)


def test_a_vintage_that_saw_the_future_is_refused(store):
    exact = vintage()
    store.write(
        vintage(key="exact", cut_off=exact.valid_from - exact.horizon_ms - exact.embargo_ms), {}
    )
    with pytest.raises(DataError, match="vintage late: sees the future, cut_off"):
        store.write(vintage(key="late", cut_off=exact.valid_from - 3 * DAY + 1), {})
    with pytest.raises(DataError, match=r"train_start .* is after cut_off"):
        store.write(vintage(key="empty", train_start=exact.cut_off + 1), {})
    assert [m.key for m in store.vintages()] == ["exact"]


def test_publishing_puts_a_chain_in_use(store):
    keys = [m.key for m in fill(store, 0, 30, 60)]
    chain = store.publish(keys, "first training", {"log_loss": 1.0})
    assert store.current() == chain == store.chain(chain.id)
    assert chain.vintages == tuple(keys)
    assert chain.features_hash == store.find(keys[0]).features_hash
    assert (chain.timeframe, chain.reason, chain.metrics) == (
        "1h",
        "first training",
        {"log_loss": 1.0},
    )
    [turn] = store.history()
    assert (turn.id, turn.action, turn.reason) == (chain.id, "publish", "first training")


def spoiled(store: ModelStore, change: str) -> tuple[list[str], str]:
    """Return the keys of a chain that cannot be, and what is said of it."""
    first, second = (m.key for m in fill(store, 0, 30))
    if change == "order":
        return [second, first], "ordered by valid_from"
    if change == "twice":
        return [first, first], "ordered by valid_from"
    if change == "none":
        return [], "at least one vintage"
    if change == "unknown":
        return [first, "unknown"], "there is no such vintage"
    if change == "damaged":
        (store.root / "vintages" / second / "empty").write_bytes(b"x")
        return [first, second], "empty: corrupted"
    changes, said = {
        "features": ({"features": FEATURES[:-1]}, "features the model does not know: adx_14"),
        "timeframe": ({"timeframe": "4h"}, "timeframe: trained on 4h, used on 1h"),
        "labels": ({"labels": {**LABELS, "upper": 3.0}}, "labels.upper: trained with 3.0"),
    }[change]
    store.write(vintage(60, key="other", **changes), {})
    return [first, "other"], said


CHANGES = ["order", "twice", "none", "unknown", "damaged", "features", "timeframe", "labels"]


@pytest.mark.parametrize("change", CHANGES)
def test_a_chain_that_cannot_be_is_refused_and_the_one_in_use_stays(store, change):
    chain = store.publish([fill(store, 400)[0].key], "good")
    keys, said = spoiled(store, change)
    with pytest.raises(DataError) as refused:
        store.publish(keys, "bad")
    assert said in str(refused.value)
    assert store.current() == chain
    assert store.chains() == (chain,)
    assert len(store.history()) == 1


def test_promote_and_rollback_go_back_the_way_one_came(store):
    key = fill(store, 0)[0].key
    a, b, c = (store.publish([key], reason).id for reason in "abc")
    assert [chain.id for chain in store.chains()] == [a, b, c]

    def back() -> str:
        store.rollback("worse")
        return store.current().id

    assert (back(), back()) == (b, a)
    with pytest.raises(DataError, match="no earlier chain to roll back to"):
        store.rollback()
    store.promote(c, "better after all")
    assert store.current().id == c
    assert back() == a
    store.promote(b)
    store.promote(b)
    store.promote(a)
    assert (back(), back()) == (b, a)
    assert [turn.action for turn in store.history()].count("promote") == 3
    assert store.history()[-1].reason == "worse"


def test_a_damaged_chain_is_neither_promoted_nor_rolled_back_to(store):
    first, second = fill(store, 0, 30)
    old = store.publish([first.key], "old")
    new = store.publish([second.key], "new")
    (store.root / "vintages" / first.key / "empty").write_bytes(b"x")
    for call in (lambda: store.promote(old.id), store.rollback):
        with pytest.raises(DataError, match="empty: corrupted"):
            call()
    assert store.current() == new
    with pytest.raises(DataError, match="there is no such chain"):
        store.promote("unknown")


def test_pruning_keeps_what_is_in_use_and_what_may_be_under_way(store):
    keys = [m.key for m in fill(store, 0, 30, 60, 90)]
    chains = [store.publish([key], "x") for key in keys]
    store.promote(chains[0].id)
    under_way = fill(store, 120)[0].key
    pruned = store.prune(2)
    assert pruned == ((chains[1].id,), (keys[1],))
    assert store.current() == chains[0]
    assert store.chains() == (chains[0], chains[2], chains[3])
    assert [m.key for m in store.vintages()] == [keys[0], keys[2], keys[3], under_way]
    assert store.prune(2) == ((), ())
    store.publish([keys[3], under_way], "y")
    assert store.rollback().id == chains[0].id
    with pytest.raises(DataError, match="keep 0"):
        store.prune(0)


def test_a_current_that_names_nothing_is_said_and_healed_by_promoting(store):
    chain = store.publish([fill(store, 0)[0].key], "first")
    for text, said in (("no such\nchain\n", "is not the id of a chain"), ("gone", "no such chain")):
        (store.root / "CURRENT").write_text(text)
        with pytest.raises(DataError, match=said):
            store.current()
        with pytest.raises(DataError, match=said):
            store.prune(1)
        store.promote(chain.id)
        assert store.current() == chain


def test_a_damaged_line_of_the_history_is_left_out_and_what_follows_is_kept(store):
    key = fill(store, 0)[0].key
    first = store.publish([key], "first")
    path = store.root / "history.jsonl"
    path.write_text(path.read_text() + '{"time": 1, "id"')
    store.publish([key], "second")
    assert [turn.reason for turn in store.history()] == ["first", "second"]
    assert store.rollback().id == first.id


def test_leftovers_of_a_killed_writer_are_removed_by_the_next(store):
    key = fill(store, 0)[0].key
    chain = store.publish([key], "first")
    partial = store.root / ".partial" / "half" / "signal"
    partial.mkdir(parents=True)
    (partial / "member").write_bytes(b"half")
    # Killed after the swap and before the history knew of it.
    second = store.publish([key], "second")
    lines = (store.root / "history.jsonl").read_text().splitlines(keepends=True)
    (store.root / "history.jsonl").write_text("".join(lines[:1]))
    fill(store, 30)
    assert not (store.root / ".partial").exists()
    assert [(t.id, t.action) for t in store.history()] == [
        (chain.id, "publish"),
        (second.id, "recovered"),
    ]
    assert store.rollback() == chain


def test_threads_of_one_process_exclude_each_other(store):
    failed = []

    def work(first: int) -> None:
        try:
            for day in range(first, first + 8):
                store.publish([fill(store, day)[0].key], str(day))
        except Exception as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sorted(int(turn.reason) for turn in store.history()) == [
        *range(8),
        *range(100, 108),
        *range(200, 208),
    ]
    assert len({chain.created for chain in store.chains()}) == 24


def test_a_failed_write_within_a_long_one_leaves_nothing_for_the_next(store):
    with store.writing():
        with pytest.raises(StoreError, match="could not be written"):
            store.write(vintage(), {"a": b"1", "a/b": b"2"})
        store.write(vintage(), {"c": b"3"})
    assert set(store.verify(vintage().key).files) == {"c"}


def test_without_the_lock_library_reading_works_and_writing_says_what_to_install(
    store, monkeypatch
):
    chain = store.publish([fill(store, 0)[0].key], "first")
    monkeypatch.setitem(sys.modules, "filelock", None)
    reader = ModelStore(store.root)
    assert reader.current() == chain
    with pytest.raises(MissingLibraryError, match=r'filelock is not .*quorum\[learning\]"'):
        reader.rollback()


def test_a_vintage_knows_no_other_fields():
    with pytest.raises(ValueError, match="colour"):
        Vintage(**{**vintage().model_dump(), "colour": "red"})
