"""The supervisor: order, restarts, stopping, and what is left when it is killed itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from quorum.errors import DataError
from quorum.supervision import process as timing
from quorum.supervision.process import Program
from quorum.supervision.supervisor import STATUS, Supervisor, read_status

#: Writes when it is asked to end, and ends.
POLITE = (
    "import pathlib, signal, sys, time\n"
    "def end(*_):\n"
    "    with open(sys.argv[1], 'a') as f: f.write(sys.argv[2] + '\\n')\n"
    "    sys.exit(0)\n"
    "signal.signal(signal.SIGTERM, end)\n"
    "print('ready', flush=True)\n"
    "while True: time.sleep(0.05)\n"
)


def program(name: str, *command: str, **more) -> Program:
    return Program(name, [sys.executable, "-c", *command], **more)


def until(condition, seconds: float = 20.0):
    """Wait for something to hold, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
    return found


class Running:
    """A supervisor in a thread, and what it told."""

    def __init__(self, programs: list[Program], folder: Path) -> None:
        self.told: list[tuple[str, str]] = []
        self.folder = folder
        self.supervisor = Supervisor(programs, folder, lambda *line: self.told.append(line))
        self.thread = threading.Thread(target=self.supervisor.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.supervisor.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()

    def pid(self, name: str) -> int | None:
        found = [p["pid"] for p in read_status(self.folder) if p["name"] == name]
        return found[0] if found else None


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(timing, "FIRST_WAIT", 0.1)


def test_programs_are_started_in_order_and_stopped_in_reverse(tmp_path):
    ended = tmp_path / "ended"
    names = ("bot", "recorder", "dashboard")
    programs = [program(name, POLITE, str(ended), name, shown=True) for name in names]
    with Running(programs, tmp_path) as running:
        until(lambda: sum(line == "ready" for _, line in running.told) == 3)
        started = [name for name, line in running.told if line.startswith("started")]
    assert started == list(names)
    assert ended.read_text().split() == list(reversed(names))
    assert read_status(tmp_path) == []


@pytest.mark.parametrize("victim", ["bot", "dashboard"])
def test_each_is_started_again_when_it_is_killed_and_the_other_goes_on(tmp_path, quick, victim):
    names = ("bot", "dashboard")
    programs = [program(name, POLITE, str(tmp_path / "ended"), name) for name in names]
    with Running(programs, tmp_path) as running:
        pids = {name: until(lambda name=name: running.pid(name)) for name in names}
        os.kill(pids[victim], signal.SIGKILL)
        until(lambda: running.pid(victim) not in (None, pids[victim]))
        other = names[1 - names.index(victim)]
        assert running.pid(other) == pids[other]
        status = {p["name"]: p for p in read_status(tmp_path)}
        assert (status[victim]["restarts"], status[victim]["last_status"]) == (1, -9)
        assert status[other]["restarts"] == 0


def test_one_that_keeps_ending_is_waited_for_longer_each_time(tmp_path, quick):
    with Running([program("bot", "raise SystemExit(3)")], tmp_path) as running:
        until(lambda: sum("ended" in line for _, line in running.told) == 3)
    waits = [line for _, line in running.told if "ended" in line]
    assert [line.split("again in ")[1] for line in waits] == ["0.1 s", "0.2 s", "0.4 s"]
    assert "ended with status 3" in waits[0]


def test_one_that_needs_a_file_waits_for_it(tmp_path):
    needed = tmp_path / "config.json"
    programs = [program("dashboard", POLITE, str(tmp_path / "x"), "x", needs=[needed])]
    with Running(programs, tmp_path) as running:
        time.sleep(0.5)
        assert running.told == []
        needed.touch()
        until(lambda: running.pid("dashboard"))


def test_one_that_follows_is_started_again_with_what_it_reads(tmp_path, quick):
    programs = [
        program("bot", POLITE, str(tmp_path / "x"), "bot"),
        program("dashboard", POLITE, str(tmp_path / "x"), "dashboard", follows="bot"),
    ]
    with Running(programs, tmp_path) as running:
        pids = {name: until(lambda name=name: running.pid(name)) for name in ("bot", "dashboard")}
        os.kill(pids["bot"], signal.SIGKILL)
        for name, pid in pids.items():
            until(lambda name=name, pid=pid: running.pid(name) not in (None, pid))


def test_what_a_killed_process_had_started_ends_too(tmp_path, quick):
    parent = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open(sys.argv[1], 'a').write(f'{child.pid}\\n')\n"
        "child.wait()\n"
    )
    noted = tmp_path / "children"
    with Running([program("bot", parent, str(noted))], tmp_path) as running:
        until(lambda: noted.is_file() and noted.read_text().strip())
        child = int(noted.read_text().split()[0])
        os.kill(running.pid("bot"), signal.SIGKILL)
        until(lambda: not alive(child))


def test_one_that_does_not_end_is_killed(tmp_path):
    deaf = "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('on', flush=True)\n"
    running = Running([program("bot", deaf + "while True: time.sleep(1)", shown=True)], tmp_path)
    (found,) = running.supervisor.processes
    found.watch(time.monotonic())
    until(lambda: ("bot", "on") in running.told)
    assert found.stop(grace=0.2) == -signal.SIGKILL
    assert any("killed" in line for _, line in running.told)


def test_two_do_not_run_in_one_folder(tmp_path):
    with (
        Running([], tmp_path),
        pytest.raises(DataError, match="runs there already"),
    ):
        Supervisor([], tmp_path, print)


def test_what_is_written_is_in_the_log(tmp_path):
    with Running([program("bot", "print('hello')")], tmp_path) as running:
        until(lambda: any("ended" in line for _, line in running.told))
    assert "hello" in (tmp_path / "logs" / "up" / "bot.log").read_text()


def test_a_damaged_status_is_none(tmp_path):
    (tmp_path / STATUS).write_text("{")
    assert read_status(tmp_path) == []
    (tmp_path / STATUS).write_text(json.dumps({"processes": 3}))
    assert read_status(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_processes_end_with_a_supervisor_that_is_killed(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from quorum.supervision.process import Program\n"
        "from quorum.supervision.supervisor import Supervisor\n"
        "run = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        f"Supervisor([Program('bot', run)], Path({str(tmp_path)!r}), print).run()\n"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as supervisor:
        (bot,) = until(lambda: [p["pid"] for p in read_status(tmp_path) if p["pid"]])
        supervisor.kill()
        supervisor.wait(10)
    until(lambda: not alive(bot))


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
