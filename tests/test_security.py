"""Security: nothing unpickles, SQL has parameters, nobody outside connects, secrets stay secret."""

from __future__ import annotations

import ast
import importlib.util
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from inspect import signature
from pathlib import Path

import pytest
from backtests import backtesting
from typer.testing import CliRunner

from quorum.bot.host import load_files
from quorum.bot.journal import funnel_of, write_journal
from quorum.cli import app
from quorum.cli.serve import serve_command
from quorum.doctor.base import at_path
from quorum.doctor.keys import SECRETS, variable
from quorum.replay.exchange import ExchangeServer
from quorum.replay.server import LocalServer
from quorum.replay.synthetic import SyntheticSettings, make_market

ROOT = Path(__file__).parent.parent
SOURCES = [
    *sorted((ROOT / "quorum").rglob("*.py")),
    *sorted((ROOT / "strategies").glob("*.py")),
    *sorted((ROOT / "hyperopts").glob("*.py")),
]
#: Modules whose loading can run code that came with the data.
UNPICKLERS = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "shelve",
    "marshal",
    "jsonpickle",
}
#: Functions of others that unpickle, or run text.
LOADERS = {
    "joblib.load", "joblib.dump", "torch.load", "pd.read_pickle", "pandas.read_pickle",
    "yaml.load", "yaml.unsafe_load", "skops.io.load",
}  # fmt: skip
#: Files that may, each with what it may: a Dask cluster's own transport pickles what it sends.
ALLOWED: dict[str, set[str]] = {}
#: What sends SQL.
SENDERS = {
    "text",
    "execute",
    "exec_driver_sql",
    "executemany",
    "executescript",
    "scalar",
    "scalars",
}


def dotted(node: ast.expr) -> str:
    """Return the name of what is called, ``""`` for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def unpickling(tree: ast.AST) -> Iterator[str]:
    """Yield what in a file can turn data into running code."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        yield from (n for n in names if n.split(".")[0] in UNPICKLERS or n in LOADERS)
        if isinstance(node, ast.Call):
            name = dotted(node.func)
            if name in LOADERS | {"eval", "exec", "compile", "__import__"}:
                yield name
            if name.endswith(".read_pickle") and name not in LOADERS:
                yield name
            for keyword in node.keywords:
                harmless = isinstance(keyword.value, ast.Constant) and not keyword.value.value
                if keyword.arg == "allow_pickle" and not harmless:
                    yield f"{name}(allow_pickle)"


def woven_sql(tree: ast.AST) -> Iterator[str]:
    """Yield calls that send a text put together from parts: values belong in parameters."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = dotted(node.func).rsplit(".", 1)[-1] or getattr(node.func, "attr", "")
        first = node.args[0]
        woven = isinstance(first, ast.JoinedStr | ast.BinOp) or (
            isinstance(first, ast.Call)
            and isinstance(first.func, ast.Attribute)
            and first.func.attr in ("format", "join", "replace")
        )
        texts = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
        written = all(isinstance(text, ast.Constant) for text in texts)
        raw = name in ("text", "exec_driver_sql") and not written
        if name in SENDERS and (woven or raw):
            yield f"line {node.lineno}: {name}({ast.unparse(first)})"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import pickle", ["pickle"]),
        ("def f():\n    from cloudpickle import loads", ["cloudpickle", "cloudpickle.loads"]),
        ("import joblib\njoblib.load(p)", ["joblib.load"]),
        ("from joblib import load", ["joblib.load"]),
        ("from joblib import Parallel", []),
        ("frame = pd.read_pickle(p)", ["pd.read_pickle"]),
        ("np.load(p, allow_pickle=True)", ["np.load(allow_pickle)"]),
        ("np.load(p, allow_pickle=False)", []),
        ("eval(text)", ["eval"]),
        ("re.compile(text)", []),
        ("json.loads(text)", []),
    ],
)
def test_the_search_for_unpickling_finds_it(code, found):
    assert list(unpickling(ast.parse(code))) == found


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("c.execute(f'select {x}')", 1),
        ("c.execute('select ' + x)", 1),
        ("c.execute('select %s' % x)", 1),
        ("c.execute('select {}'.format(x))", 1),
        ("c.execute(text(f'select {x}'))", 1),
        ("c.execute(text(query))", 1),
        ("c.execute(text('begin immediate' if x else 'begin'))", 0),
        ("c.execute(text('begin' if x else query))", 1),
        ("engine.connect().exec_driver_sql(query)", 1),
        ("c.execute(text('select :x'), {'x': x})", 0),
        ("c.execute(select(table).where(table.c.bot == bot))", 0),
    ],
)
def test_the_search_for_woven_sql_finds_it(code, count):
    assert len(list(woven_sql(ast.parse(code)))) == count


def test_nothing_unpickles_and_sql_has_parameters():
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        allowed = ALLOWED.get(path.relative_to(ROOT).as_posix(), set())
        assert not set(unpickling(tree)) - allowed, path
        assert not list(woven_sql(tree)), path


# Doors ------------------------------------------------------------------------------------


def test_servers_are_made_in_one_place_and_for_this_machine_alone():
    makers = set()
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        assert "0.0.0.0" not in text, path
        calls = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call))
        names = {dotted(call.func).rsplit(".", 1)[-1] for call in calls}
        if names & {
            "HTTPServer",
            "ThreadingHTTPServer",
            "TCPServer",
            "bind",
            "_Server",
            "AnnouncingServer",
        }:
            makers.add(path.relative_to(ROOT / "quorum").as_posix())
    assert makers == {"replay/server.py", "dashboard/server.py"}
    assert signature(serve_command).parameters["host"].default == "127.0.0.1"


@pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is this machine on Linux only")
def test_the_local_exchange_answers_under_no_other_address_of_this_machine():
    with LocalServer({}, lambda request: {}) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=2):
            pass
        # A server that listens on all addresses would answer here too.
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", server.port), timeout=2)


def test_an_exchange_of_a_market_listens_on_this_machine_alone(tmp_path):
    make_market(
        SyntheticSettings(
            bases=("BTC",), start=date(2023, 1, 1), end=date(2023, 1, 10), timeframes=("1d",)
        ),
        tmp_path / "market",
    )
    with ExchangeServer(tmp_path / "market") as exchange:
        assert exchange.url.startswith("http://127.0.0.1:")
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.2", exchange.port), timeout=2)


def test_the_shipped_configurations_hold_no_secret_and_listen_here_only():
    for path in (ROOT / "config.json", *sorted((ROOT / "overlays").glob("*.json"))):
        content = load_files([path])
        assert not [name for name in SECRETS if at_path(content, name)], path
        assert at_path(content, "api_server.listen_ip_address", "127.0.0.1") == "127.0.0.1"


# Secrets ----------------------------------------------------------------------------------

BESIDE = {
    "telegram.enabled": "false",
    "telegram.chat_id": "42",
    "api_server.enabled": "false",
    "api_server.listen_ip_address": "127.0.0.1",
    "api_server.listen_port": "8080",
    "api_server.username": "user",
}


@pytest.fixture
def secrets(monkeypatch) -> dict[str, str]:
    """Return a secret for every path that holds one, set as the overlays say: by environment."""
    for name in [name for name in os.environ if name.startswith("FREQTRADE__")]:
        monkeypatch.delenv(name)
    made = {
        path: f"hush-{number}-{path.split('.')[-1]}".ljust(40, "z")
        for number, path in enumerate(SECRETS)
    }
    for path, secret in made.items():
        monkeypatch.setenv(variable(path), secret)
    # What the host wants to be said beside them.
    for path, value in BESIDE.items():
        monkeypatch.setenv(variable(path), value)
    return made


def nothing_of(secrets: dict[str, str], text: str, where: str) -> None:
    told = [path for path, secret in secrets.items() if secret in text]
    assert not told, f"{where} tells {told}"


def test_the_doctor_tells_no_secret(secrets, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(ROOT)
    caplog.set_level(logging.DEBUG)
    mine = tmp_path / "keys.json"
    content: dict = {"db_url": "postgresql+psycopg://me:hush-db@127.0.0.1:1/x"}
    for path, secret in secrets.items():
        group, name = path.split(".")
        content.setdefault(group, {})[name] = secret
    monkeypatch.setenv("FREQTRADE__API_SERVER__ENABLED", "true")
    monkeypatch.setenv("FREQTRADE__API_SERVER__LISTEN_IP_ADDRESS", "0.0.0.0")
    mine.write_text(json.dumps(content))
    arguments = ["doctor", "-c", "config.json", "-c", str(mine), "--offline", "-v"]
    for more in ([], ["--json"]):
        result = CliRunner().invoke(app, [*arguments, *more])
        assert "exchange.secret" in result.output, result.output
        assert "0.0.0.0" in result.output
        nothing_of(secrets | {"db_url": "hush-db"}, result.output, "quorum doctor")
    nothing_of(secrets, caplog.text, "the log")


@pytest.mark.parametrize("command", ["guards", "rearm"])
def test_a_database_that_does_not_answer_tells_no_password(command, secrets, caplog, monkeypatch):
    monkeypatch.chdir(ROOT)
    url = "postgresql+psycopg://me:hush-db@127.0.0.1:1/x"
    more = ["--reason", "test"] if command == "rearm" else []
    result = CliRunner().invoke(app, [command, "--db", url, *more])
    assert result.exit_code == 1
    nothing_of(secrets | {"db_url": "hush-db"}, result.output + caplog.text, command)


def test_a_backtest_its_log_its_journal_and_its_cards_tell_no_secret(
    secrets, tmp_path, caplog, monkeypatch
):
    caplog.set_level(logging.DEBUG)
    market = SyntheticSettings(bases=("BTC",), start=date(2023, 1, 1), end=date(2023, 6, 1))
    make_market(market, tmp_path / "market")
    user_data = tmp_path / "user_data"
    user_data.mkdir()
    changes = {"export": "trades", "timerange": "20230310-20230601"}
    with backtesting(tmp_path / "market", user_data, **changes) as bt:
        assert bt.config["telegram"]["token"] == secrets["telegram.token"], "they are there"
        bt.start()
        desk = bt.strategy.desk
        assert desk.signals, "there are trades to tell of"
        (result,) = (user_data / "backtest_results").glob("*.zip")
        write_journal(desk, result.with_suffix(".quorum.json"), funnel_of(desk, bt.config))
    for path in sorted(user_data.rglob("*")):
        if path.suffix == ".json":
            nothing_of(secrets, path.read_text(encoding="utf-8"), path.name)
    for number in ("1", "2"):
        card = CliRunner().invoke(app, ["card", number, "--result", str(result)])
        nothing_of(secrets, card.output, "quorum card")
    own = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("quorum"))
    everything = "\n".join(record.getMessage() for record in caplog.records)
    nothing_of(secrets, own, "our log")
    nothing_of(secrets, everything, "the host's log")


# Dependencies -----------------------------------------------------------------------------


def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def audited(monkeypatch, **answers: subprocess.CompletedProcess[str]) -> tuple[int, list[str]]:
    """Run the audit where each database answers as given; return the status and who was asked."""
    module = audit()
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: object())
    asked = []

    def run(call, **options):
        asked.append(call[call.index("--vulnerability-service") + 1])
        return answers[asked[-1]]

    return module.main(tuple(answers), run), asked


def answer(status: int, found: str = "", complaint: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], status, found, complaint)


def test_the_audit_is_skipped_with_a_message_where_no_database_answers(monkeypatch, capsys):
    silent = answer(1, complaint="requests.exceptions.ConnectionError: no route")
    status, asked = audited(monkeypatch, pypi=silent, osv=silent)
    assert (status, asked) == (0, ["pypi", "osv"])
    assert "audit skipped: no database of known holes answers" in capsys.readouterr().out


def test_the_audit_asks_the_first_database_that_answers_and_passes_its_verdict_on(
    monkeypatch, capsys
):
    silent = answer(1, complaint="ReadTimeout: timed out")
    hole = answer(1, found="pip 1.0 PYSEC-1")
    assert audited(monkeypatch, pypi=silent, osv=hole) == (1, ["pypi", "osv"])
    assert "PYSEC-1" in capsys.readouterr().out
    assert audited(monkeypatch, pypi=answer(0, found="none"), osv=hole) == (0, ["pypi"])


def test_an_audit_that_breaks_is_no_clean_audit(monkeypatch, capsys):
    broken = answer(2, complaint="error: unrecognized arguments")
    assert audited(monkeypatch, pypi=broken) == (2, ["pypi"])
