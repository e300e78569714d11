from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from quorum.errors import DataError
from quorum.replay.live.clock import SharedClock

START = 1_709_251_200_000  # 2024-03-01

PROGRAM = """
import asyncio, datetime, time
from datetime import UTC, datetime as D
import pandas as pd
clocks = [time.time(), time.time_ns() / 1e9, D.now(UTC).timestamp()]
clocks += [pd.Timestamp.now("UTC").timestamp(), D.utcnow().replace(tzinfo=UTC).timestamp()]
clocks += [time.mktime(time.localtime())]
print(max(clocks) - min(clocks), isinstance(D.now(), D), type(D.now()) is D, D.now(UTC).date())
before = D.now(UTC)
time.sleep(1800)
asyncio.run(asyncio.sleep(1800))
print((D.now(UTC) - before).total_seconds())
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clock"


def accelerated(path: Path, folder: Path, program: str) -> list[str]:
    (folder / "program.py").write_text(program)
    call = [sys.executable, "-m", "quorum.replay.live.accelerate", str(path), "program"]
    done = subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_it_runs_at_its_speed(path: Path):
    clock = SharedClock.create(path, START, 3600.0)
    real = time.monotonic()
    first = clock.now_ns()
    time.sleep(0.05)
    second, passed = clock.now_ns(), time.monotonic() - real
    assert 0.05 * 3600 <= (second - first) / 1e9 <= passed * 3600 + 1


def test_every_process_reads_the_same_clock_and_sees_what_another_does_to_it(path: Path):
    mine, other = SharedClock.create(path, START, 0.0), SharedClock(path)
    assert mine.now() == other.now() == START
    other.advance_to(START + 5000)
    assert mine.now() == START + 5000
    mine.set(speed=60.0, jump=True, stop=START + 9000)
    assert (other.speed, other.jump, other.stop) == (60.0, True, START + 9000)


def test_it_never_goes_back(path: Path):
    clock = SharedClock.create(path, START, 0.0)
    clock.advance_to(START + 1000)
    clock.advance_to(START)
    assert clock.now() == START + 1000
    clock.set(stop=START + 500)
    assert clock.now() == START + 1000


def test_it_holds_at_its_stop_and_goes_on_from_there(path: Path):
    clock = SharedClock.create(path, START, 0.0)
    clock.set(stop=START + 1000, speed=1e6)
    time.sleep(0.01)
    assert clock.now() == START + 1000
    clock.advance_to(START + 9000)
    assert clock.now() == START + 1000
    clock.set(stop=0, speed=0.0)
    assert clock.now() == START + 1000


def test_it_does_not_run_backwards(path: Path):
    clock = SharedClock.create(path, START, 1.0)
    with pytest.raises(DataError, match="backwards"):
        clock.set(speed=-1.0)


def test_what_is_no_clock_is_refused(path: Path):
    with pytest.raises(DataError, match="no clock"):
        SharedClock(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="no clock"):
        SharedClock(path)


def test_a_program_sees_one_clock_whichever_way_it_asks(path: Path, tmp_path: Path):
    SharedClock.create(path, START, 0.0)
    told = accelerated(path, tmp_path, PROGRAM.split("before")[0])
    difference, *rest = told[0].split()
    assert float(difference) < 1.0  # the local time has whole seconds
    assert rest == ["True", "True", "2024-03-01"]


@pytest.mark.parametrize(("speed", "jump"), [(7200.0, False), (1.0, True)])
def test_a_program_sleeps_by_the_clock(path: Path, tmp_path: Path, speed: float, jump: bool):
    SharedClock.create(path, START, speed, jump=jump)
    slept = float(accelerated(path, tmp_path, PROGRAM)[1])
    assert 3600 <= slept < 3600 + speed * 5
