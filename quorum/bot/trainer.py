"""Trainer: a running bot has its models trained again, in a process of its own (spec M8).

The bot only starts the process and looks whether it has ended; it never waits for it. What is
trained takes effect when the store's current chain is swapped, or not at all.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from freqtrade.enums import RunMode

from quorum.bot.models import BotModels
from quorum.candles import DAY_MS
from quorum.settings import Settings

logger = logging.getLogger(__name__)

#: How much the process yields to the bot.
NICENESS = 15


class Trainer:
    """Starts ``quorum train`` when a refit is due.

    Parameters
    ----------
    config : dict
        The host's configuration.
    settings : Settings
    models : BotModels
    """

    def __init__(self, config: dict[str, Any], settings: Settings, models: BotModels) -> None:
        self._config = config
        self._settings = settings.learning
        self._models = models
        running = config.get("runmode") in (RunMode.LIVE, RunMode.DRY_RUN)
        self._wanted = running and settings.learning.retrain
        # The host keeps the newest file first, a command line names it last.
        self._files = [str(path) for path in reversed(config.get("config_files") or [])]
        if self._wanted and not self._files:
            logger.warning(
                "quorum.learning.retrain has no effect: the configuration was not read from files"
            )
            self._wanted = False
        self._process: subprocess.Popen[bytes] | None = None
        self._tried = 0
        self._before = 0
        user_data = Path(config.get("user_data_dir") or "user_data")
        self.log = user_data / "logs" / "quorum-train.log"

    def on_candle(self, now: datetime) -> None:
        """Start a training where one is due; look after the one under way. Takes no time."""
        if not self._wanted:
            return
        if self._process is not None:
            self._look()
            return
        refit = self._settings.folds.refit_days * DAY_MS
        date = int(now.timestamp() * 1000) // refit * refit
        # A failed training is tried again at the next refit, not at every candle.
        if date > max(self._newest(), self._tried):
            self._tried = date
            self._start()

    @property
    def busy(self) -> bool:
        """Whether a training is under way."""
        return self._process is not None and self._process.poll() is None

    def _newest(self) -> int:
        models = self._models.loaded()
        vintages = models.vintages if models is not None else ()
        return vintages[-1].manifest.valid_from if vintages else 0

    def _start(self) -> None:
        command = [sys.executable, "-m", "quorum", "train", "--jobs", "1"]
        command += ["--download"] if self._settings.download else []
        for path in self._files:
            command += ["--config", path]
        command += ["--datadir", str(self._config["datadir"])]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._before = self._newest()
        logger.info("Models are trained again, log: %s", self.log)
        with self.log.open("ab") as stream:
            self._process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=_yielding,
                start_new_session=True,
            )

    def _look(self) -> None:
        status = self._process.poll() if self._process is not None else None
        if status is None:
            return
        self._process = None
        if status:
            logger.warning(
                "Training models failed with status %d, those in use stay (log: %s)",
                status,
                self.log,
            )
        elif self._newest() > self._before:
            logger.info("Models have been trained")
        else:
            logger.warning(
                "Training models has ended, but no newer ones are in use (log: %s)", self.log
            )


def _yielding() -> None:
    """Run in the new process: the bot's candles come first."""
    os.nice(NICENESS)
