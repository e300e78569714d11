"""Every provider's wire format, spoken with a real server over a real connection."""

from __future__ import annotations

import json
import logging
import random

import pytest
from asked import SCHEMA, prompt

from quorum.advisors.client import Breaker, Client
from quorum.advisors.providers import PROVIDERS, Failure
from quorum.advisors.simulated import SIMULATED, Fault, ProviderServer
from quorum.errors import SettingsError

KEY = "sk-a-secret-that-nobody-may-see"


@pytest.fixture(scope="module")
def server():
    with ProviderServer(slow=3.0, retry_after=0.01) as serving:
        yield serving


@pytest.fixture
def waits():
    return []


@pytest.fixture(params=list(PROVIDERS))
def client(request, server, waits):
    provider = PROVIDERS[request.param]()

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    asking = Client(provider, KEY, server.url, timeout=1.0, wait=wait, jitter=random.Random(1))
    yield asking
    asking.close()


def plan(server: ProviderServer, client: Client, *faults: Fault) -> str:
    name = client.provider.name.replace("compatible", "openai")
    server.plan(name, *faults)
    return name


def test_an_answer_comes_with_model_and_tokens(client, server):
    outcome = client.ask("some-model", prompt())
    assert outcome.failure is None
    assert outcome.attempts == 1
    answer = json.loads(outcome.reply.text)
    assert set(answer) == {"phase", "leader", "divergences", "actions", "confidence"}
    assert outcome.reply.model == f"{SIMULATED}some-model"
    assert outcome.reply.usage.input > 10
    assert outcome.reply.usage.output > 5
    assert json.loads(outcome.raw), "the bytes as they came"
    asked = server.asked[-1][1]
    assert (asked.system, asked.user) == ("be brief", prompt().user)
    assert asked.schema == SCHEMA


@pytest.mark.parametrize(
    ("fault", "failure"),
    [(Fault.REFUSAL, Failure.REFUSED), (Fault.TRUNCATED, Failure.TRUNCATED)],
)
def test_what_the_model_does_not_say_is_not_asked_again(client, server, waits, fault, failure):
    plan(server, client, fault)
    outcome = client.ask("m", prompt())
    assert outcome.failure is failure
    assert outcome.attempts == 1
    assert not waits
    assert outcome.reply.usage.output > 0, "it is paid for"


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (Fault.RATE_LIMITED, Failure.RATE_LIMITED),
        (Fault.SERVER_ERROR, Failure.SERVER_ERROR),
        (Fault.OVERLOADED, Failure.SERVER_ERROR),
        (Fault.DROPPED, Failure.DISCONNECTED),
        (Fault.BROKEN_OFF, Failure.DISCONNECTED),
    ],
)
def test_what_the_service_cannot_do_is_tried_three_times(client, server, waits, fault, failure):
    plan(server, client, fault, fault)
    assert client.ask("m", prompt()).failure is None
    assert len(waits) == 2
    assert 0 < waits[0] < waits[1]
    plan(server, client, fault, fault, fault)
    outcome = client.ask("m", prompt())
    assert (outcome.failure, outcome.attempts) == (failure, 3)


def test_a_slow_answer_is_given_up(client, server):
    client.timeout, client.wait = 0.2, lambda seconds: True
    client._http.timeout = 0.2
    plan(server, client, Fault.SLOW)
    assert client.ask("m", prompt()).failure is Failure.TIMEOUT


def test_a_refused_key_is_not_tried_again_and_closes_the_provider(client, server):
    plan(server, client, Fault.UNAUTHORIZED)
    assert client.ask("m", prompt()).failure is Failure.UNAUTHORIZED
    before = server.calls.total()
    outcome = client.ask("m", prompt())
    assert (outcome.failure, outcome.attempts) == (Failure.PAUSED, 0)
    assert server.calls.total() == before


def test_an_endless_answer_is_cut_off(client, server):
    plan(server, client, Fault.ENDLESS)
    assert client.ask("m", prompt()).failure is Failure.TOO_LONG


def test_another_model_than_was_asked_for_is_named(client, server):
    plan(server, client, Fault.OTHER_MODEL)
    assert client.ask("m", prompt()).reply.model == f"{SIMULATED}another-model"


def test_a_provider_that_keeps_failing_is_left_alone_for_a_while(server):
    now = [0.0]
    breaker = Breaker(limit=2, pause=60.0, clock=lambda: now[0])
    client = Client(PROVIDERS["openai"](), KEY, server.url, wait=lambda s: True, breaker=breaker)
    server.plan("openai", Fault.SERVER_ERROR, Fault.SERVER_ERROR)
    for _ in range(2):
        assert client.ask("m", prompt()).failure is Failure.SERVER_ERROR
    assert client.ask("m", prompt()).failure is Failure.PAUSED
    now[0] = 61.0
    assert client.ask("m", prompt()).failure is None
    client.close()


def test_a_provider_that_asks_for_a_long_pause_gets_it():
    with ProviderServer(retry_after=120.0) as server:
        client = Client(PROVIDERS["gemini"](), KEY, server.url, wait=lambda s: False)
        server.plan("gemini", Fault.RATE_LIMITED)
        assert client.ask("m", prompt()).attempts == 1
        assert 100 < client.breaker.open_for() <= 120
        client.close()


def test_without_a_key_nothing_is_sent(server):
    before = server.calls.total()
    client = Client(PROVIDERS["anthropic"](), "", server.url)
    outcome = client.ask("m", prompt())
    assert outcome.failure is Failure.NO_KEY
    assert "ANTHROPIC_API_KEY" in outcome.detail
    assert server.calls.total() == before
    client.close()


def test_a_local_server_needs_no_key():
    with ProviderServer(keyless=True) as server:
        client = Client(PROVIDERS["compatible"](), "", server.url)
        assert client.ask("m", prompt()).failure is None
        client.close()


def test_a_key_is_nowhere_but_in_its_header(client, server, caplog):
    caplog.set_level(logging.DEBUG)
    plan(server, client, Fault.SERVER_ERROR, Fault.UNAUTHORIZED)
    outcome = client.ask("m", prompt())
    assert KEY not in repr(client)
    assert KEY not in repr(outcome)
    assert KEY not in caplog.text
    assert KEY not in client.provider.request(prompt(), "m", KEY).path


def test_a_key_that_a_server_repeats_is_taken_out(server):
    client = Client(PROVIDERS["compatible"](), KEY, server.url)
    assert KEY not in client._clean(f"Incorrect API key provided: {KEY}")
    client.close()


@pytest.mark.parametrize(
    "address",
    [
        "http://api.openai.com", "ftp://127.0.0.1", "api.openai.com", "https://me:pw@x.org",
        "https://x.org/?key=1",
    ],
)  # fmt: skip
def test_a_key_is_not_sent_to_a_doubtful_address(address):
    with pytest.raises(SettingsError):
        Client(PROVIDERS["openai"](), KEY, address)
