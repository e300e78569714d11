"""A scripted analyst: answers from the prompt's own facts, with a chosen skill and noise.

It stands in for a language model where none can be asked. The same prompt always gets the same
answer. Its model ids begin with ``SIMULATED``, so its answers are told apart wherever they
appear.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quorum.advisors.models import SIMULATED
from quorum.context.regime import REGIMES

__all__ = ["SIMULATED", "Analyst", "readings"]

_LINE = re.compile(r"^(?:\[(?P<section>[^\]]+)\]|(?P<label>[^:\n]{1,30}):) (?P<facts>.+)$", re.M)
_FACT = re.compile(r"(\w+) (-?[\d.]+(?:e[+-]?\d+)?)")
Readings = dict[str, dict[str, float]]


def readings(prompt: str) -> Readings:
    """Read the facts of a prompt by section, or by label where it is a table of coins."""
    facts = prompt.partition("\nSchema of the answer:")[0]
    found: Readings = {}
    for line in _LINE.finditer(facts):
        told = {name: float(value) for name, value in _FACT.findall(line["facts"])}
        if told:
            found[line["section"] or line["label"]] = told
    return found


@dataclass(frozen=True)
class Analyst:
    """Reads trends the way a textbook does, and sometimes does not.

    Attributes
    ----------
    skill : float
        Share of the answers that follow the facts, 0-1; the others are guesses.
    noise : float
        Standard deviation of what is added to each reading.
    seed : int
    """

    skill: float = 0.8
    noise: float = 0.3
    seed: int = 0

    def answer(self, prompt: str, schema: Mapping[str, Any], model: str) -> dict[str, Any]:
        """Return an answer to a prompt that follows its schema."""
        digest = hashlib.sha256(f"{self.seed}|{model}|{prompt}".encode()).digest()
        rng = random.Random(int.from_bytes(digest[:8], "big"))
        facts = readings(prompt)
        asked = schema.get("properties", {})
        if "probabilities" in asked:
            return self._regime(facts, rng)
        if "levels" in asked:
            return self._levels(facts, rng, prompt)
        if "phase" in asked:
            return self._market(facts, rng)
        return self._timeframes(facts, rng)

    def _view(self, score: float, rng: random.Random) -> float:
        """Return a reading between -1 and 1: of the facts, or a guess."""
        if rng.random() > self.skill:
            return rng.uniform(-1.0, 1.0)
        return math.tanh(score + rng.gauss(0.0, self.noise))

    def _timeframes(self, facts: Readings, rng: random.Random) -> dict[str, Any]:
        base = next((facts[name] for name in ("1h", "5m", "15m", "30m") if name in facts), {})
        returns, week = facts.get("returns", {}), facts.get("1w", {})
        scores = {
            "1h": 1.5 * base.get("mean_20", 0.0) + 0.02 * (base.get("rsi", 50.0) - 50.0),
            "4h": _trend(facts.get("4h", {})),
            "1d": _trend(facts.get("1d", {})),
            "1w": 0.08 * returns.get("7d_pct", 0.0) + 0.5 * week.get("structure", 0.0),
        }
        out: dict[str, Any] = {}
        for name, score in scores.items():
            view = self._view(score, rng)
            direction = "neutral" if abs(view) < 0.2 else "bullish" if view > 0 else "bearish"
            out[name] = {
                "direction": direction,
                "confidence": round(0.5 + 0.45 * abs(view), 3),
                "patterns": ["trend"] if abs(view) > 0.5 else [],
                "reasoning": f"simulated: {name} facts score {score:.2f}",
            }
        volume = facts.get("volume", {})
        out["divergences"] = [
            side.replace("_", " ")
            for side in ("bullish_divergence", "bearish_divergence")
            if volume.get(side)
        ]
        return out

    def _regime(self, facts: Readings, rng: random.Random) -> dict[str, Any]:
        stress = facts.get("volatility", {}).get("two_days_over_usual", 1.0)
        trend = self._view(_trend(facts.get("1d", {})), rng)
        strength = abs(trend)
        up, down = max(trend, 0.0), max(-trend, 0.0)
        raw = {
            "strong_bull": up * strength,
            "weak_bull": up,
            "bull_range": 0.3 + 0.2 * up - 0.1 * down,
            "bear_range": 0.3 + 0.2 * down - 0.1 * up,
            "weak_bear": down,
            "strong_bear": down * strength,
            "high_volatility": max(0.0, stress - 1.2),
            "low_volatility": max(0.0, 0.8 - stress),
        }
        total = sum(raw.values())
        told = {name: round(raw[name] / total, 3) for name in REGIMES}
        risk = "high" if told["strong_bear"] + told["high_volatility"] > 0.4 else "medium"
        return {"probabilities": told, "risk": risk, "reasoning": "simulated: trend and stress"}

    def _levels(self, facts: Readings, rng: random.Random, prompt: str) -> dict[str, Any]:
        close = re.search(r"last close is ([\d.e+-]+);", prompt)
        price = float(close[1]) if close else 100.0
        levels = []
        for name, level in facts.get("levels", {}).items():
            if level > 0 and 0.005 < abs(level / price - 1.0) < 0.2 and rng.random() < self.skill:
                kind = "support" if level < price else "resistance"
                levels.append(
                    {
                        "price": level,
                        "kind": kind,
                        "strength": round(rng.uniform(0.4, 0.9), 2),
                        "touches": rng.randint(1, 5),
                        "reasoning": f"simulated: {name}",
                    }
                )
        return {"levels": levels[:8]}

    def _market(self, facts: Readings, rng: random.Random) -> dict[str, Any]:
        coins = {name: told for name, told in facts.items() if "7d_pct" in told}
        whole = facts.get("whole", {})
        breadth = whole.get("alts_ahead_of_bitcoin", 0.5)
        view = self._view(4.0 * (breadth - 0.5), rng)
        phase = "risk_on" if view > 0.4 else "risk_off" if view < -0.4 else "rotation"
        actions = []
        for name, told in coins.items():
            move = self._view(0.05 * told["7d_pct"], rng)
            action = "buy" if move > 0.3 else "sell" if move < -0.3 else "hold"
            actions.append({"pair": name, "action": action})
        leader = max(coins, key=lambda name: coins[name]["7d_pct"]) if coins else "none"
        return {
            "phase": phase,
            "leader": leader,
            "divergences": [],
            "actions": actions,
            "confidence": round(0.5 + 0.4 * abs(view), 3),
        }


def _trend(section: Mapping[str, float]) -> float:
    """Return how far the facts of a timeframe point up, about -2 to 2."""
    return (
        0.5 * section.get("structure", 0.0)
        + 0.6 * section.get("slow_mean", 0.0)
        + 0.02 * section.get("di_spread", 0.0)
    )
