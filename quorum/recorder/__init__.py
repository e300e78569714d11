"""Recorder: books, trades and liquidations from the exchange's streams to files and database.

It runs in a process of its own and never asks the bot (spec R-2). Every row has the exchange's time
and the time it was received; what is made of it for features counts from the latter. What was
missed is a row of the channel ``gaps``, never silence.
"""

from __future__ import annotations

from quorum.recorder.channels import CHANNELS, Channel, Rows
from quorum.recorder.sink import Sink

__all__ = ["CHANNELS", "Channel", "Rows", "Sink"]
