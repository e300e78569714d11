"""``python -m quorum``: the command line."""

from __future__ import annotations

from quorum.cli import app

if __name__ == "__main__":
    app()
