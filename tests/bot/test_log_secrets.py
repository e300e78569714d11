"""What the configuration holds secret is in no line of a log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.bot import log_secrets
from quorum.bot.log_secrets import HIDDEN, hide_secrets, without_secrets

CONFIG = {
    "exchange": {"key": "exchange-key-1", "secret": "exchange-secret/2=="},
    "telegram": {"token": "123456:telegram-token"},
    "api_server": {"ws_token": ["ws-token-a", "ws-token-b"], "password": "short"},
    "external_message_consumer": {"producers": [{"ws_token": "producer-token"}]},
    "db_url": "postgresql://bot:database-word@127.0.0.1/bot",
}
SECRETS = (
    "exchange-key-1",
    "exchange-secret/2==",
    "exchange-secret%2F2%3D%3D",
    "123456:telegram-token",
    "123456%3Atelegram-token",
    "ws-token-a",
    "ws-token-b",
    "producer-token",
    "database-word",
)
logger = logging.getLogger("some.library")


@pytest.fixture(autouse=True)
def hiding(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    factory = logging.getLogRecordFactory()
    monkeypatch.setattr(log_secrets, "_hidden", set())
    hide_secrets(CONFIG)
    yield
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_in_no_part_of_a_record(secret, caplog):
    caplog.set_level(logging.DEBUG)
    logger.info(f"GET /ws?token={secret}")
    logger.info("GET %s from %s, %d bytes", f"/ws?token={secret}", "here", 12)
    logger.info("%(address)s", {"address": secret})
    logger.warning(ValueError(secret))
    try:
        raise ValueError(f"refused: {secret}")
    except ValueError as error:
        logger.exception("failed: %s", error)
    assert secret not in caplog.text
    assert caplog.text.count(HIDDEN) >= 6
    assert "GET /ws?token=*** from here, 12 bytes" in caplog.text
    assert "ValueError: refused: ***" in caplog.text


def test_short_words_stay_and_more_can_be_hidden(caplog):
    logger.warning("a short word")
    hide_secrets({}, ["key-of-the-environment"])
    logger.warning("with key-of-the-environment")
    assert "a short word" in caplog.text
    assert "with ***" in caplog.text


def test_it_is_installed_once():
    factory = logging.getLogRecordFactory()
    hide_secrets(CONFIG)
    assert logging.getLogRecordFactory() is factory


def test_a_record_without_a_secret_is_left_as_it_is(caplog):
    value = object()
    with caplog.at_level(logging.INFO):
        logger.info("%s %d %.2f", value, 3, 1.5)
    assert caplog.records[-1].args == (value, 3, 1.5)


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(SECRETS))
def test_no_text_around_a_secret_keeps_it(before, after, secret):
    assert secret not in without_secrets(before + secret + after)
