"""No secret in a log: what the configuration holds is taken out of every line by its value.

The host's server logs the address of a websocket with its token, clients log addresses that hold
a bot's token, and an error of a library may quote a header. Names of fields help little there.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from quorum.doctor.base import at_path
from quorum.doctor.keys import SECRETS

HIDDEN = "***"
#: Shorter values are words that logs are full of.
SHORTEST = 6
#: Databases whose address may hold a password.
DATABASES = ("db_url", "quorum.state.url")

_hidden: set[str] = set()


def hide_secrets(config: Mapping[str, Any], more: Iterable[str] = ()) -> None:
    """Take the secrets of a configuration, and others, out of all that is logged from now on.

    Parameters
    ----------
    config : mapping
        freqtrade configuration.
    more : iterable of str
        Values from elsewhere, for example the environment.
    """
    for value in (*_secrets(config), *more):
        if len(value) >= SHORTEST:
            _hidden.update((value, quote(value), quote_plus(value), quote(value, safe="")))
    inner = logging.getLogRecordFactory()
    if _hidden and not hasattr(inner, "hides_secrets"):

        def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
            return _cleaned(inner(*args, **kwargs))

        factory.hides_secrets = True  # type: ignore[attr-defined]
        logging.setLogRecordFactory(factory)


def without_secrets(text: str) -> str:
    """Return a text without the secrets that are known."""
    # The longest first: one may be part of another.
    for value in sorted(_hidden, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return text


def _secrets(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of all paths that hold a secret."""
    producers = at_path(config, "external_message_consumer.producers", [])
    values = [at_path(config, path) for path in SECRETS]
    values += [one.get("ws_token") for one in producers if isinstance(one, Mapping)]
    for value in values:
        yield from (str(one) for one in (value if isinstance(value, list) else [value]) if one)
    for path in DATABASES:
        try:
            password = make_url(at_path(config, path) or "sqlite://").password
        except ArgumentError:
            continue  # The host names what is wrong with it.
        if password:
            yield str(password)


def _cleaned(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record without secrets in message, arguments and traceback."""
    record.msg = without_secrets(str(record.msg))
    if isinstance(record.args, tuple):
        record.args = tuple(_argument(value) for value in record.args)
    elif isinstance(record.args, Mapping):
        record.args = {name: _argument(value) for name, value in record.args.items()}
    if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        cleaned = without_secrets(text)
        if cleaned != text:
            record.exc_text = cleaned
    return record


def _argument(value: object) -> object:
    """Return an argument of a message as it was, or its text without secrets."""
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    text = str(value)
    cleaned = without_secrets(text)
    return value if cleaned == text else cleaned
