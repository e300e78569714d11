"""Without the optional libraries: what still works, and how the rest says what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: What no installation without extras has; a module of them that is asked for is not there.
BARE = """
import sys

EXTRAS = {"cmaes", "dask", "distributed", "filelock", "lightgbm", "optuna", "plotly", "psycopg",
          "sklearn", "threadpoolctl", "xgboost"}

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def bare(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code as in an installation without extras."""
    call = [sys.executable, "-c", BARE + code, *map(str, arguments)]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)


def quorum(*arguments: object) -> subprocess.CompletedProcess[str]:
    return bare("from quorum.cli import app\napp()\n", *arguments)


def test_the_strategy_and_every_command_are_there():
    done = bare("sys.path.insert(0, 'strategies')\nimport quorum_strategy\n")
    assert done.returncode == 0, done.stderr
    assert "tune" in quorum("--help").stdout


def test_a_user_directory_is_set_up_and_examined(tmp_path):
    made = quorum("init", "--user-dir", tmp_path / "user_data")
    assert made.returncode == 0, made.stdout + made.stderr
    found = quorum("doctor", "--config", tmp_path / "config.json", "--offline")
    assert "Traceback" not in found.stderr
    assert "problem" in found.stdout


@pytest.mark.parametrize(
    ("command", "library", "extra"),
    [
        (["train"], "sklearn", "learning"),
        (["report"], "plotly", "report"),
        (["tune", "--timerange", "20230101-20240101"], "filelock", "hyperopt"),
    ],
)
def test_a_command_names_the_extra_it_needs(command, library, extra):
    done = quorum(*command)
    assert done.returncode == 1
    assert f'{library} is not installed: pip install "freqtrade-quorum[{extra}]"' in done.stderr
    assert "Traceback" not in done.stderr
