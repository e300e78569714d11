"""Keys: what they may do, and who can read them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator

from quorum.doctor.base import Finding, Layer, Level, Setup, at_path

#: Dotted paths of the configuration that hold a secret.
SECRETS = (
    *(
        f"exchange.{name}"
        for name in ("key", "api_key", "apiKey", "secret", "password", "uid", "account_id")
    ),
    *(f"exchange.{name}" for name in ("accountId", "private_key", "privateKey")),
    "telegram.token",
    "discord.webhook_url",
    "webhook.url",
    "api_server.password",
    "api_server.jwt_secret_key",
    "api_server.ws_token",
    "coingecko.api_key",
)
#: The secret the host takes where none is given.
HOST_SECRET = "somethingRandom"
LOCAL = ("127.0.0.1", "::1", "localhost")


def held(layer: Layer) -> list[str]:
    """Return the paths of the secrets a layer holds."""
    return [path for path in SECRETS if at_path(layer.content, path)]


def variable(path: str) -> str:
    """Return the environment variable the host reads a path from; it knows no capitals."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", path)
    return "FREQTRADE__" + "__".join(words.upper().split("."))


def secrets(setup: Setup) -> Iterator[Finding]:
    """A file with a secret must be readable by its owner alone."""
    files = [(layer.path, held(layer)) for layer in setup.layers if layer.path and held(layer)]
    for path, names in files:
        mode = path.stat().st_mode
        readers = "everybody" if mode & stat.S_IROTH else "its group" if mode & stat.S_IRGRP else ""
        where = f"{path}: {', '.join(names)}"
        variables = ", ".join(variable(name) for name in names)
        if readers and os.name == "posix":
            yield Finding(
                Level.PROBLEM if mode & stat.S_IROTH else Level.WARNING,
                f"a file with secrets can be read by {readers}",
                f"{where} (mode {stat.S_IMODE(mode):o})",
                f"chmod 600 {path}, or take them from the environment: {variables}",
            )
        else:
            yield Finding(
                Level.HINT,
                "secrets in a file; the environment is safer",
                where,
                f"set {variables}",
            )
    if not files:
        yield Finding(Level.OK, "no file holds a secret")


def keys(setup: Setup) -> Iterator[Finding]:
    """A key that can withdraw can be stolen with the money."""
    names = ("key", "api_key", "apiKey")
    present = next((n for n in names if setup.value(f"exchange.{n}")), None)
    if present is None:
        if setup.dry_run:
            yield Finding(Level.OK, "no key: orders are simulated and no key is needed")
        else:
            yield Finding(
                Level.PROBLEM,
                "live trading without a key",
                "exchange.key = ''",
                f"set {variable('exchange.key')} and {variable('exchange.secret')}",
            )
        return
    where = f"exchange.{present} ({setup.source(f'exchange.{present}')})"
    rights = setup.exchange.key_rights() if setup.exchange else None
    if rights is None:
        yield Finding(
            Level.HINT,
            "rights of the key not checked: the exchange does not answer or does not tell",
            where,
            "make sure that it cannot withdraw and is bound to this machine's address",
        )
        return
    found = list(_judged(setup, {k: str(v).lower() == "true" for k, v in rights.items()}, where))
    yield from found
    if not any(finding.level is Level.PROBLEM for finding in found):
        yield Finding(Level.OK, "the key can trade and cannot withdraw", where)


def _judged(setup: Setup, rights: dict[str, bool], where: str) -> Iterator[Finding]:
    if rights.get("enableWithdrawals"):
        yield Finding(
            Level.PROBLEM,
            "the key may withdraw: whoever steals it has the money",
            f"{where}: enableWithdrawals",
            "take that right away at the exchange, better still make a new key",
        )
    for name in ("enableInternalTransfer", "permitsUniversalTransfer"):
        if rights.get(name):
            yield Finding(
                Level.WARNING,
                "the key may move money between accounts; Quorum never does",
                f"{where}: {name}",
                "take that right away at the exchange",
            )
    if rights.get("ipRestrict") is False:
        yield Finding(
            Level.WARNING,
            "the key works from any address",
            f"{where}: ipRestrict",
            "bind it to the address of the machine that trades",
        )
    needed = "enableFutures" if setup.futures else "enableSpotAndMarginTrading"
    if rights.get(needed) is False:
        yield Finding(
            Level.PROBLEM,
            f"the key may not trade {'futures' if setup.futures else 'spot'}",
            f"{where}: {needed}",
            "grant that right at the exchange",
        )


def api_server(setup: Setup) -> Iterator[Finding]:
    """Whoever reaches the bot's own interface and knows its password trades with it."""
    if setup.value("api_server.enabled") is not True:
        yield Finding(Level.OK, "the bot's own interface is off")
        return
    good = True
    if not setup.value("api_server.password"):
        good = False
        yield Finding(
            Level.PROBLEM,
            "the bot's own interface has no password",
            "api_server.password",
            f"set {variable('api_server.password')}",
        )
    secret = setup.value("api_server.jwt_secret_key")
    if not secret or str(secret).startswith(HOST_SECRET):
        good = False
        yield Finding(
            Level.PROBLEM,
            "tokens of the bot's own interface are signed with a secret everybody knows",
            "api_server.jwt_secret_key",
            f"set {variable('api_server.jwt_secret_key')} to 32 random characters",
        )
    if setup.value("api_server.listen_ip_address", "127.0.0.1") not in LOCAL:
        good = False
        yield Finding(
            Level.WARNING,
            "the bot's own interface can be reached from other machines, unencrypted",
            setup.place("api_server.listen_ip_address"),
            "listen on 127.0.0.1, behind a tunnel (ssh, VPN)",
        )
    if good:
        yield Finding(Level.OK, "the bot's own interface listens on this machine only")
