"""Access to the dashboard: the token, other sites, and what no answer may tell."""

from __future__ import annotations

import os
import time

import pytest
from served import HOSTILE, TOKEN, backtest_source, client

from quorum.dashboard.access import COOKIE, read_token
from quorum.errors import DataError

PATHS = (
    "/", "/trades", "/trades/1", "/pairs/BTC/USDT:USDT", "/portfolio", "/guards", "/performance",
    "/health",
)  # fmt: skip
ROUTES = (
    "signals", "decisions", "decisions?pair=BTC/USDT:USDT", "votes?pair=BTC/USDT:USDT",
    "positions", "trades", "trades/1/alerts", "portfolio", "guards", "metrics", "health",
    "events/recent", "openapi.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def outside():
    with client(backtest_source(), token=False) as found:
        yield found


def entered(found, token: str = TOKEN, **fields: str):
    return found.post("/login", data={"token": token, **fields})


@pytest.mark.parametrize("path", PATHS)
def test_no_page_is_shown_without_the_token(outside, path):
    outside.cookies.clear()
    answer = outside.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_answers_without_the_token(outside, route):
    outside.cookies.clear()
    assert outside.get(f"/api/v1/{route}").status_code == 401
    headers = {"Authorization": "Bearer wrong-but-long-enough"}
    assert outside.get(f"/api/v1/{route}", headers=headers).status_code == 401


def test_the_token_opens_a_session_that_ends_on_leaving(outside):
    outside.cookies.clear()
    answer = entered(outside, next="/guards")
    assert (answer.status_code, answer.headers["location"]) == (303, "/guards")
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert TOKEN not in answer.headers["set-cookie"]
    assert outside.get("/guards").status_code == 200
    outside.post("/logout")
    assert outside.get("/guards").status_code == 303


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_entering_leads_to_no_other_site(outside, path):
    outside.cookies.clear()
    assert entered(outside, next=path).headers["location"] == "/"


def test_a_made_up_session_is_none(outside):
    outside.cookies.clear()
    outside.cookies.set(COOKIE, "0" * 64)
    assert outside.get("/").status_code == 303
    outside.cookies.clear()


def test_a_wrong_token_is_slow_and_a_right_one_is_not():
    with client(backtest_source(5), delay=0.3, token=False) as found:
        began = time.monotonic()
        assert entered(found, "wrong-but-long-enough").headers["location"] == "/login?wrong=true"
        assert time.monotonic() - began >= 0.3
        assert found.get("/alive").text == "alive"
        assert entered(found).headers["location"] == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/logout", "/guards/resume", "/api/v1/guards/resume"])
def test_what_another_site_sends_is_refused_even_with_the_token(path, headers):
    with client(backtest_source(5)) as found:
        answer = found.post(path, headers=headers, data={"token": TOKEN, "reason": "because"})
        assert answer.status_code == 403


def test_a_backtest_has_nothing_to_resume():
    with client(backtest_source(5)) as found:
        answer = found.post("/api/v1/guards/resume", json={"reason": "because"})
        assert answer.status_code == 409
        assert found.post("/api/v1/guards/resume", json={"reason": ""}).status_code == 422
        told = found.post("/guards/resume", data={"reason": "because"}).headers["location"]
        assert "backtest" in told


@pytest.mark.parametrize("path", [*PATHS, "/login"])
def test_every_answer_forbids_scripts_of_others_and_frames(path):
    with client(backtest_source(20)) as found:
        policy = found.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert found.get(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [*PATHS, "/trades/61"])
def test_hostile_names_are_shown_as_text(path):
    with client(backtest_source(60, hostile=True)) as found:
        answer = found.get(path)
        assert answer.status_code == 200
        assert HOSTILE not in answer.text


def test_the_token_is_in_no_answer():
    with client(backtest_source(20)) as found:
        for path in (*PATHS, "/login", *(f"/api/v1/{route}" for route in ROUTES)):
            assert TOKEN not in found.get(path).text, path


def test_a_token_is_made_once_and_only_its_owner_reads_it(tmp_path):
    file = tmp_path / "user_data" / "quorum.token"
    token = read_token(file, {})
    assert len(token) >= 32
    assert read_token(file, {}) == token
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0
        file.chmod(0o644)
        with pytest.raises(DataError, match="everybody on this machine"):
            read_token(file, {})


def test_a_short_token_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match="QUORUM_TOKEN: a token needs 16"):
        read_token(tmp_path / "none", {"QUORUM_TOKEN": "short"})


def test_files_are_those_of_the_pages_alone(outside):
    for name in ("dashboard.css", "page.css", "page.js", "uplot.js", "lightweight-charts.LICENSE"):
        assert outside.get(f"/static/{name}").status_code == 200, name
    for name in ("../app.py", "..%2fapp.py", "app.py", "%2e%2e%2fapp.py"):
        assert outside.get(f"/static/{name}").status_code in (303, 404), name
