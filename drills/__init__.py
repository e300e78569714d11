"""End-to-end drills: stock freqtrade with Quorum on the live local exchange (``make drill``)."""

from __future__ import annotations

import sys
from pathlib import Path

# The bot's process and the exchange it trades on are driven by what the tests use, too.
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
