"""Compose file, image and units: valid, without secrets, and every command is one there is."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from quorum.cli import app

yaml = pytest.importorskip("yaml", reason="needs PyYAML")
ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OWN = {name: s for name, s in SERVICES.items() if s.get("build")}


def words(command: list[str]) -> list[str]:
    """Return the command itself, out of a shell where it is in one."""
    return shlex.split(command[2]) if command[:2] == ["sh", "-c"] else command


def commands() -> list[tuple[str, list[str]]]:
    found = []
    for name, service in OWN.items():
        calls = [service["command"]]
        test = service.get("healthcheck", {}).get("test", [])
        if test[:2] == ["CMD", "quorum"]:
            calls.append(test[1:])
        for call in calls:
            parts = " ".join(words(call)).split(" && ")
            found += [(name, part.split()) for part in parts]
    for path in sorted((ROOT / "systemd").glob("*.service")):
        (line,) = re.findall(r"^ExecStart=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        call = line.split()
        found.append((path.name, [Path(call[0]).name, *call[1:]]))
    return found


@pytest.mark.parametrize(("where", "call"), commands(), ids=lambda value: str(value))
def test_every_command_is_one_there_is_with_options_it_knows(where, call):
    if call[0] == "freqtrade":
        assert call[1] == "trade"
        return
    assert call[0] == "quorum"
    known = get_command(app).commands[call[1]]  # type: ignore[attr-defined]
    options = {name for param in known.params for name in (*param.opts, *param.secondary_opts)}
    given = call[2 : call.index("--")] if "--" in call else call[2:]
    for word in given:
        if word.startswith("-"):
            assert word.split("=")[0] in options, f"{where}: quorum {call[1]} {word}"


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_may_do_as_little_as_it_needs(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]
    for port in service.get("ports", ()):
        assert port.startswith("127.0.0.1:"), port
    if service.get("restart") != "no":
        assert service["restart"] == "unless-stopped"


def test_without_a_profile_the_demonstration_is_started_and_needs_no_key():
    lines = (ROOT / ".env").read_text(encoding="utf-8").split()
    assert "COMPOSE_PROFILES=demo" in lines
    demo = {name: s for name, s in SERVICES.items() if "demo" in s["profiles"]}
    assert set(demo) == {"demo-init", "demo", "demo-dashboard"}
    assert {secret for s in demo.values() for secret in s.get("secrets", ())} == {"quorum_token"}
    assert all(s["networks"] == ["inside"] for name, s in demo.items() if name != "demo-dashboard")


def test_what_services_refer_to_is_there():
    for name, service in SERVICES.items():
        assert set(service.get("depends_on", {})) <= set(SERVICES), name
        assert set(service["networks"]) <= set(COMPOSE["networks"]), name
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"]), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./docker"):
                assert (ROOT / source).exists(), volume
            elif not source.startswith("."):
                assert source in COMPOSE["volumes"], volume


def test_secrets_are_files_that_no_image_and_no_commit_holds():
    for secret in COMPOSE["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert "secrets/" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    taken = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert taken[0] == "*"
    assert not [line for line in taken if "secret" in line or "user_data" in line]


def test_the_entry_gives_secrets_to_its_command_alone(tmp_path):
    script = (ROOT / "docker" / "entry.sh").read_text(encoding="utf-8")
    local = tmp_path / "entry.sh"
    local.write_text(script.replace("/run/secrets", str(tmp_path)))
    (tmp_path / "quorum_token").write_text("a token")
    (tmp_path / "exchange_key").write_text("")
    done = subprocess.run(
        ["sh", str(local), "env"], capture_output=True, text=True, check=True,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert "QUORUM_TOKEN=a token" in done.stdout.splitlines()
    assert "FREQTRADE__EXCHANGE__KEY" not in done.stdout


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
def test_the_entry_is_clean():
    subprocess.run(["shellcheck", str(ROOT / "docker" / "entry.sh")], check=True)


def test_the_scrape_finds_the_dashboard_of_the_live_profile():
    path = ROOT / "docker" / "prometheus" / "prometheus.yml"
    scrape = yaml.safe_load(path.read_text(encoding="utf-8"))["scrape_configs"][0]
    host, port = scrape["static_configs"][0]["targets"][0].split(":")
    assert SERVICES[host]["ports"][0].endswith(f":{port}")
    shared = set(SERVICES[host]["networks"]) & set(SERVICES["prometheus"]["networks"])
    assert shared == {"inside"}
    provisioned = ROOT / "docker" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    source = yaml.safe_load(provisioned.read_text(encoding="utf-8"))["datasources"][0]
    board = json.loads((ROOT / "docker" / "grafana" / "quorum.json").read_text(encoding="utf-8"))
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
