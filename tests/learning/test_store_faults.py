"""The model store under kills, a full disk and other writers."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from vintages import FEATURES, LABELS, contents, fill, tree, vintage, write_for_ever

from quorum.errors import DataError
from quorum.learning.disk import StoreError
from quorum.learning.manifest import Expected
from quorum.learning.store import ModelStore

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked and killed")

FITTING = Expected(FEATURES, "1h", LABELS)
#: Forked: starts at once, so that a kill falls into the work and not into imports.
FORK = multiprocessing.get_context("fork") if sys.platform != "win32" else None
KILLS = 20


@contextmanager
def running(function: Callable[..., None], *arguments: object) -> Iterator[object]:
    process = FORK.Process(target=function, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def read_all(store: ModelStore) -> str | None:
    """Read the chain in use and every byte of it; returns its id."""
    chain = store.current()
    if chain is None:
        return None
    for key in chain.vintages:
        store.check(store.find(key) or pytest.fail(f"{key} is gone"), FITTING)
    return chain.id


def read_for_ever(root: Path, report: Connection) -> None:
    """Read until asked for what was seen: reads, chains, overtaken by pruning, what was wrong."""
    store = ModelStore(root)
    reads, seen, overtaken, wrong = 0, set(), 0, []
    while not report.poll():
        before = store.current()
        try:
            seen.add(read_all(store))
            reads += 1
        except DataError as error:
            if before in store.chains():
                wrong.append(str(error))
            else:  # so slow that its chain was pruned meanwhile
                overtaken += 1
    report.send((reads, len(seen - {None}), overtaken, wrong))


def test_a_reader_sees_whole_chains_while_writers_are_killed(tmp_path):
    root = tmp_path / "models"
    here, there = FORK.Pipe()
    dice = random.Random(7)
    half = 0
    with running(read_for_ever, root, there):
        for _ in range(KILLS):
            with running(write_for_ever, root):
                time.sleep(dice.uniform(0.05, 0.45))
            half += (root / ".partial").exists()
            read_all(ModelStore(root))
        here.send("enough")
        reads, chains, overtaken, wrong = here.recv()
    assert wrong == []
    assert reads > 5 * KILLS
    assert chains > KILLS / 2
    assert overtaken < reads / 20
    assert half > 0  # else no kill fell into a write
    store = ModelStore(root)
    before = store.current()
    store.write(vintage(10_000), contents())
    assert store.current() == before
    for manifest in store.vintages():
        store.verify(manifest.key)
    assert len(store.vintages()) == len(list((root / "vintages").iterdir()))
    assert len(store.chains()) == len(list((root / "chains").iterdir()))
    assert not (root / ".partial").exists()


def work(root: Path) -> None:
    """Do everything a writer does, on a store that has two chains and a damaged vintage."""
    store = ModelStore(root)
    fill(store, 30, 60)
    store.publish([m.key for m in store.vintages()], "third")
    store.rollback()
    store.promote(store.chains()[0].id)
    store.prune(1)


def killed_at(step: int, root: Path) -> None:
    """Do the work, but be killed before the ``step``-th flush or rename."""
    counted = 0

    def counting(function: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            nonlocal counted
            if counted == step:
                os.kill(os.getpid(), signal.SIGKILL)
            counted += 1
            return function(*arguments)

        return call

    os.fsync, os.replace = counting(os.fsync), counting(os.replace)
    work(root)


@pytest.fixture
def memory(tmp_path) -> Iterator[Path]:
    """Yield a folder in memory where there is one: many flushes to a disk take long."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_killed_at_any_step_the_chain_in_use_is_whole_and_the_work_can_be_done_again(memory):
    start = memory / "start"
    store = ModelStore(start)
    first, second = (store.publish([fill(store, day)[0].key], "x").id for day in (0, 30))
    (start / "vintages" / vintage(30).key / "empty").write_bytes(b"damaged")
    store.promote(first)
    step, seen, code = 0, set(), -signal.SIGKILL
    while code == -signal.SIGKILL:
        root = memory / str(step)
        shutil.copytree(start, root)
        process = FORK.Process(target=killed_at, args=(step, root))
        process.start()
        process.join()
        code = process.exitcode
        store = ModelStore(root)
        seen.add(read_all(store))
        work(root)
        assert store.current().id in {first, second, *(chain.id for chain in store.chains())}
        assert not (root / ".partial").exists()
        assert [turn.id for turn in store.history()][-1] == store.current().id
        for manifest in store.vintages():
            store.verify(manifest.key)
        step += 1
    assert code == 0
    assert step > 30
    assert len(seen) >= 3


def write_with_small_files(root: Path, report: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
    try:
        ModelStore(root).write(vintage(30), contents(30, 100_000))
    except StoreError as error:
        report.send(str(error))


def test_a_file_that_may_not_grow_leaves_nothing_half_written(tmp_path):
    store = ModelStore(tmp_path / "models")
    chain = store.publish([fill(store, 0)[0].key], "first")
    before = tree(store.root)
    here, there = FORK.Pipe()
    with running(write_with_small_files, store.root, there):
        assert here.poll(20)
        said = here.recv()
    assert "could not be written, File too large" in said
    assert f"the chain in use is {chain.id}" in said
    assert tree(store.root) == before
    assert not (store.root / ".partial").exists()
    assert read_all(store) == chain.id


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """Yield a file system of its own, of half a megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("may not mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_chain_in_use_and_nothing_half_written(small_disk):
    store = ModelStore(small_disk / "models")
    chain = store.publish([fill(store, 0)[0].key], "first")
    before = tree(store.root)
    with pytest.raises(StoreError, match="No space left on device") as refused:
        store.write(vintage(30), contents(30, 600_000))
    assert f"the chain in use is {chain.id}" in str(refused.value)
    assert tree(store.root) == before
    assert not (store.root / ".partial").exists()
    # With all of it taken, not even a chain can be published, at whichever file it ends.
    store.write(vintage(30), contents(30))
    before = tree(store.root)
    for pages in range(4):
        ballast = small_disk / "ballast"
        free = shutil.disk_usage(small_disk).free
        ballast.write_bytes(b"x" * (free - pages * 4096))
        if pages < 2:
            with pytest.raises(StoreError, match="No space left on device"):
                store.publish([vintage(0).key, vintage(30).key], "second")
            assert tree(store.root) == before
            assert read_all(store) == chain.id
        ballast.unlink()
    store.publish([vintage(0).key, vintage(30).key], "second")
    assert read_all(store) != chain.id


def hold(root: Path, report: Connection) -> None:
    with ModelStore(root).writing():
        report.send("held")
        time.sleep(60)


def test_a_second_writer_is_told_which_process_writes_and_readers_do_not_wait(tmp_path):
    root = tmp_path / "models"
    store = ModelStore(root, patience=0.2)
    chain = store.publish([fill(store, 0)[0].key], "first")
    here, there = FORK.Pipe()
    with running(hold, root, there) as holder:
        assert here.poll(20)
        with pytest.raises(
            StoreError, match=rf"process {holder.pid} \(.+\) on .+, since 2"
        ) as told:
            store.write(vintage(30), contents(30))
        assert "is writing here; wait for it to end (waited 0.2 s)" in str(told.value)
        began = time.perf_counter()
        assert read_all(ModelStore(root, patience=60)) == chain.id
        assert time.perf_counter() - began < 30
    store.write(vintage(30), contents(30))
    assert len(store.vintages()) == 2
