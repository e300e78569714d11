"""Promotion: which vintages may speak, and why the others may not (spec M8)."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from quorum.learning.manifest import VintageManifest
from quorum.learning.parts import ENSEMBLE, MEMBER, SIGNAL
from quorum.section import Section

#: Parts whose skill decides, with every member of the ensemble; the regime classifier and the
#: meta-model are left out of a vintage where they have none.
DECISIVE = (SIGNAL, ENSEMBLE)


class PromotionSettings(Section):
    """What a freshly trained vintage must show to replace the one before it."""

    worse_than_prior: float = Field(
        0.0,
        ge=0,
        le=1,
        description="log loss out of fold over that of the base rates, at most; also of a "
        "meta-model that is to be the promise [nats]",
    )
    worse_than_before: float = Field(
        0.05, ge=0, le=1, description="the same against the vintage before [nats]"
    )
    max_drift: float = Field(
        0.6,
        ge=0,
        le=1,
        description="features whose newest month has drifted from the training, at most [share]",
    )


def objections(
    new: VintageManifest, before: VintageManifest | None, settings: PromotionSettings
) -> list[str]:
    """Return why a vintage must not be used, nothing where it may.

    Losses are taken relative to that of the base rates of the same rows: years differ in how
    hard they are to predict.
    """
    found = []
    members = sorted(part for part in new.metrics if part.startswith(MEMBER))
    for part in (*DECISIVE, *members):
        excess = excess_loss(new.metrics.get(part))
        if excess is None:
            continue
        if excess > settings.worse_than_prior:
            found.append(
                f"{part}: its log loss out of fold is {excess:.4f} over that of the base rates "
                f"(at most {settings.worse_than_prior})"
            )
        earlier = excess_loss(before.metrics.get(part)) if before is not None else None
        if earlier is not None and excess - earlier > settings.worse_than_before:
            found.append(
                f"{part}: it lost {excess - earlier:.4f} nats against the vintage before "
                f"(at most {settings.worse_than_before})"
            )
    drift = new.metrics.get("drift")
    share = drift.get("share") if isinstance(drift, dict) else None
    if isinstance(share, float) and share > settings.max_drift:
        found.append(
            f"drift: {share:.0%} of the features have drifted within a month (at most "
            f"{settings.max_drift:.0%})"
        )
    return found


def excess_loss(metrics: Any) -> float | None:
    """Return a part's calibrated log loss less that of the base rates, None where unknown."""
    if not isinstance(metrics, dict) or metrics.get("fallback"):
        return None
    loss = (metrics.get("calibrated") or {}).get("log_loss")
    prior = (metrics.get("prior") or {}).get("log_loss")
    if not isinstance(loss, float) or not isinstance(prior, float):
        return None
    return loss - prior
