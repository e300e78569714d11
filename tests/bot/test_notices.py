"""Notices: what the host's real channels deliver, to receivers on this machine."""

from __future__ import annotations

import json
import logging
import socket
import time
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from freqtrade.configuration.config_validation import validate_config_schema
from freqtrade.configuration.environment_vars import environment_vars_to_dict
from freqtrade.data.dataprovider import DataProvider
from freqtrade.enums import RPCMessageType, RunMode, TradingMode
from freqtrade.misc import deep_merge_dicts
from freqtrade.persistence import Order, Trade, init_db
from freqtrade.rpc.rpc_manager import RPCManager
from freqtrade.rpc.telegram import Telegram
from hypothesis import given
from hypothesis import strategies as st
from published import agreeing, published, table_of

from quorum.bot import log_secrets
from quorum.bot.desk import Desk
from quorum.bot.host import load_files
from quorum.bot.notices import LONGEST, Notices, plain, say
from quorum.entry import Account, draw_up
from quorum.settings import Settings

ROOT = Path(__file__).parent.parent.parent
PAIR = "BTC/USDT:USDT"
SECRETS = {
    "telegram": {"TELEGRAM__TOKEN": "123:abc", "TELEGRAM__CHAT_ID": "42"},
    "discord": {"DISCORD__WEBHOOK_URL": "http://127.0.0.1:9/discord"},
    "webhook": {"WEBHOOK__URL": "http://127.0.0.1:9/hook"},
    "websocket": {
        "API_SERVER__USERNAME": "user-1",
        "API_SERVER__PASSWORD": "pass-word-1",
        "API_SERVER__JWT_SECRET_KEY": "x" * 40,
        "API_SERVER__WS_TOKEN": "ws-token-1",
    },
}


@pytest.fixture
def receiver():
    """Yield the address of a receiver, and what it has received."""
    got: list[dict] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            got.append(json.loads(self.rfile.read(length)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", got
    server.shutdown()
    server.server_close()
    thread.join()


def configured(overlay: str, monkeypatch, **secrets) -> dict:
    """Return the shipped configuration under an overlay and the environment, as the host does."""
    for name, value in (SECRETS[overlay] | secrets).items():
        monkeypatch.setenv(f"FREQTRADE__{name}", value)
    config = load_files([ROOT / "config.json", ROOT / "overlays" / f"{overlay}.json"])
    config = deep_merge_dicts(environment_vars_to_dict(), config)
    config["runmode"] = RunMode.DRY_RUN
    return config


def channels(config: dict) -> tuple[RPCManager, DataProvider]:
    """Return the host's channels and the strategy's data provider, both real."""
    bot = SimpleNamespace(config=config)
    return RPCManager(bot), DataProvider(config, None)


def deliver(rpc: RPCManager, dp: DataProvider) -> None:
    rpc.process_msg_queue(dp._msg_queue)


def trade_and_desk(side: int = 1, *, stored: bool = True) -> tuple[Trade, Desk, Order]:
    """Return a filled trade with its stored signal."""
    init_db("sqlite://")
    votes = [*agreeing(7, 0.80, 0.78, side)[:8], (-side, 0.6, 0.55)]
    table = table_of(published([votes], close=43250.0, atr=300.0, zone_position=0.5))
    signal = draw_up(table, 0, PAIR, 43250.0, Account(100_000.0), Settings())
    desk = Desk(Settings(), "1h")
    trade = Trade(
        pair=PAIR, stake_amount=2595.0, amount=0.06, open_rate=43250.0, is_open=True,
        open_date=signal.timestamp + timedelta(hours=1), fee_open=0.0, fee_close=0.0,
        exchange="binance", is_short=side < 0, leverage=1.0, stake_currency="USDT",
        trading_mode=TradingMode.FUTURES, enter_tag=signal.tag,
    )  # fmt: skip
    Trade.session.add(trade)
    Trade.commit()
    if stored:
        trade.set_custom_data("quorum_signal", signal.model_dump(mode="json"))
    return trade, desk, order(trade, trade.entry_side, 0.06, 43250.0)


def order(trade, side, amount, price, tag=None) -> Order:
    return Order(
        order_id=f"{side}{price}", ft_pair=PAIR, symbol=PAIR, ft_order_side=side, side=side,
        ft_is_open=False, ft_amount=amount, ft_price=price, price=price, average=price,
        filled=amount, remaining=0.0, status="closed", amount=amount, ft_order_tag=tag,
        order_date=trade.open_date, order_filled_date=trade.open_date,
    )  # fmt: skip


def close(trade: Trade, profit: float, reason: str) -> None:
    trade.is_open, trade.exit_reason = False, reason
    trade.close_date = trade.open_date + timedelta(hours=9)
    trade.close_profit_abs, trade.close_profit = profit, profit / trade.stake_amount


@pytest.mark.parametrize("overlay", sorted(SECRETS))
def test_an_overlay_is_complete_with_its_secrets_from_the_environment(overlay, monkeypatch):
    config = configured(overlay, monkeypatch)
    # What the host asks for at start comes from the strategy.
    validate_config_schema(config | {"stoploss": -0.2, "minimal_roi": {"0": 10.0}})
    text = (ROOT / "overlays" / f"{overlay}.json").read_text(encoding="utf-8")
    for name, secret in SECRETS[overlay].items():
        assert f"FREQTRADE__{name}" in text, "the file says which variables it needs"
        assert secret not in text


def test_every_overlay_is_tested():
    overlays = {path.stem for path in (ROOT / "overlays").glob("*.json")}
    assert overlays - {"playbooks"} == set(SECRETS)


def test_a_webhook_gets_the_essentials_of_an_entry_its_rungs_and_its_end(receiver, monkeypatch):
    url, got = receiver
    rpc, dp = channels(configured("webhook", monkeypatch, WEBHOOK__URL=url))
    trade, desk, entry = trade_and_desk()
    notices = Notices(dp, desk)
    signal = desk.signal_of(trade)
    notices.filled(trade, entry)
    trade.amount, trade.realized_profit = 0.018, 56.7
    notices.filled(trade, order(trade, "sell", 0.042, 44600.0, "ladder_1"))
    close(trade, 54.5, "opposite_quorum")
    notices.filled(trade, order(trade, "sell", 0.018, 43250.0, "opposite_quorum"))
    deliver(rpc, dp)
    assert [message["kind"] for message in got] == ["quorum"] * 3
    first, rung, last = (message["text"] for message in got)
    for part in (
        "BTC/USDT:USDT long #1 at 43250, 2595.00 USDT",
        f"{signal.agreeing_heads} of {signal.total_heads} heads, confidence",
        f"promised: {signal.expected_win_rate:.0%} wins at {signal.risk_reward_ratio:.1f} R",
        f"stop {signal.stop_loss:g} (",
        f"targets {signal.ladder[0]:g} 70% (",
        "\nfor: technical 0.80",
        "\nagainst: crypto 0.60",
        "size: bands=",
    ):
        assert part in first, first
    assert rung == (
        f"BTC/USDT:USDT long #1: target 1 of {len(signal.ladder)} at 44600, 0.042 out\n"
        "0.018 left, realised +56.70 USDT"
    )
    assert last == (
        "BTC/USDT:USDT long #1 closed at 43250: opposite quorum\n"
        f"+54.50 USDT (+2.10%, {54.5 / signal.risk_amount:+.2f} R) after 9.0 h\n"
        f"opened on {signal.tag.replace('_', ' ')}, promised {signal.expected_win_rate:.0%} wins"
    )


def test_discord_takes_every_message_as_one_field(receiver, monkeypatch):
    url, got = receiver
    rpc, dp = channels(configured("discord", monkeypatch, DISCORD__WEBHOOK_URL=url))
    trade, desk, entry = trade_and_desk(-1)
    Notices(dp, desk).filled(trade, entry)
    say(dp, "Quorum guards: ACTIVE -> HALTED (emergency_shutdown)." + "x" * 5000)
    deliver(rpc, dp)
    fields = [message["embeds"][0]["fields"] for message in got]
    assert [[field["name"] for field in each] for each in fields] == [["Quorum"]] * 2
    assert fields[0][0]["value"].startswith("BTC/USDT:USDT short #1 at 43250")
    assert fields[1][0]["value"].startswith("Quorum guards: ACTIVE -> HALTED (emergency shutdown)")
    assert all(len(each[0]["value"]) <= 1024 for each in fields), "Discord's limit of a field"


def test_a_channel_that_fails_stops_neither_the_bot_nor_the_next_message(monkeypatch, caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/secret-path"
    config = configured("webhook", monkeypatch, WEBHOOK__URL=address)
    config["webhook"] |= {"retries": 0, "timeout": 1}
    rpc, dp = channels(config)
    say(dp, "one")
    say(dp, "two")
    deliver(rpc, dp)
    assert sum("Could not call webhook url" in r.message for r in caplog.records) == 2
    assert not dp._msg_queue


def test_a_telegram_message_is_what_was_said_and_holds_no_open_mark(monkeypatch):
    # The host's own text of the message, without its connection.
    trade, desk, entry = trade_and_desk()
    dp = DataProvider(configured("telegram", monkeypatch), None)
    Notices(dp, desk).filled(trade, entry)
    (text,) = dp._msg_queue
    message = {"type": RPCMessageType.STRATEGY_MSG, "msg": text}
    assert Telegram.compose_message(SimpleNamespace(), message) == text
    assert not set(text) & set("_*`[]")


@given(st.text())
def test_a_plain_text_is_short_and_without_marks(text):
    shown = plain(text)
    assert len(shown) <= LONGEST
    assert not set(shown) & set("_*`[]")
    if not set(text) & set("_*`[]") and len(text) <= LONGEST:
        assert shown == text


@pytest.mark.parametrize("runmode", [RunMode.BACKTEST, RunMode.HYPEROPT])
def test_a_simulation_says_nothing(runmode):
    trade, desk, entry = trade_and_desk()
    dp = DataProvider({"runmode": runmode}, None)
    notices = Notices(dp, desk)
    notices.filled(trade, entry)
    notices.models("20240101", trade.open_date)
    assert not dp._msg_queue


def test_a_trade_that_is_not_ours_and_an_order_that_did_not_fill(monkeypatch):
    trade, desk, entry = trade_and_desk(stored=False)
    dp = DataProvider(configured("webhook", monkeypatch), None)
    notices = Notices(dp, desk)
    entry.filled = 0.0
    notices.filled(trade, entry)
    assert not dp._msg_queue
    entry.filled = 0.06
    notices.filled(trade, entry)
    assert dp._msg_queue.pop().endswith("no signal is stored with this trade")


def test_new_models_are_told_once(monkeypatch):
    trade, desk, _ = trade_and_desk()
    dp = DataProvider(configured("webhook", monkeypatch), None)
    notices = Notices(dp, desk)
    for chain in ("a-1", "a-1", "b-2"):
        notices.models(chain, trade.open_date, "12 vintages")
    assert [text.split(",")[0] for text in dp._msg_queue] == [
        "Quorum models: chain a-1",
        "Quorum models: chain b-2",
    ]


def test_the_websocket_carries_strategy_messages_and_its_token_is_not_logged(monkeypatch, caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = configured("websocket", monkeypatch)
    config["api_server"]["listen_port"] = port
    monkeypatch.setattr(log_secrets, "_hidden", set())
    init_db("sqlite://")
    with logging_restored(), caplog.at_level(logging.INFO):
        log_secrets.hide_secrets(config)
        _listen(config, port)
    assert "/api/v1/message/ws?token=***" in caplog.text
    assert "ws-token-1" not in caplog.text


@contextmanager
def logging_restored():
    """Give the process its way of making records back."""
    factory = logging.getLogRecordFactory()
    try:
        yield
    finally:
        logging.setLogRecordFactory(factory)


def _listen(config, port):
    from websockets.sync.client import connect

    rpc, dp = channels(config)
    try:
        address = f"ws://127.0.0.1:{port}/api/v1/message/ws?token=ws-token-1"
        with _connected(connect, address) as client:
            client.send(json.dumps({"type": "subscribe", "data": ["strategy_msg"]}))
            heard = _heard(client, lambda: (say(dp, "BTC long"), deliver(rpc, dp)))
            assert heard == {"type": "strategy_msg", "msg": "BTC long"}
    finally:
        rpc.cleanup()


def _connected(connect, address):
    for _ in range(50):
        try:
            return connect(address)
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the host's server did not start")


def _heard(client, send):
    """Send until something is heard: the subscription is taken up by another thread."""
    for _ in range(50):
        send()
        try:
            return json.loads(client.recv(timeout=0.2))
        except TimeoutError:
            continue
    raise AssertionError("nothing was heard")
