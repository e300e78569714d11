"""Models: what is live and since when, how it drifted, and what it is worth (spec U2)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict

from quorum.dashboard.decision import utc
from quorum.dashboard.render import ago, sections_page, snapshot_of, when
from quorum.dashboard.snapshot import Snapshot
from quorum.errors import DataError
from quorum.learning.evidence_document import load_evidence
from quorum.learning.manifest import ChainManifest, VintageManifest, flatten
from quorum.learning.stored import StoredModels
from quorum.report.page.blocks import Block, Cell, Section, Table, Text, number, percent
from quorum.report.page.inputs import Learned
from quorum.report.page.learned import models_section

router = APIRouter(tags=["models"])
Now = Annotated[Snapshot, Depends(snapshot_of)]
#: Snapshots listed.
LISTED = 12
DRIFT = "drift.share"


class ModelsNow(BaseModel):
    """The models in use; ``live`` is the newest snapshot that may already speak."""

    model_config = ConfigDict(frozen=True)

    chain: str | None
    snapshots: int
    live: str | None
    valid_from: datetime | None
    trained_on: datetime | None
    rows: int | None
    drifted_features: float | None
    problem: str


def models_now(root: Path | None, at: datetime) -> ModelsNow:
    """Return which models are in use at a moment."""
    found, problem = None, ""
    try:
        found = _in_use(root)
    except DataError as error:
        problem = str(error)
    chain, vintages = found or (None, [])
    live = [v for v in vintages if utc(v.valid_from) <= at]
    newest = live[-1] if live else None
    drift = None if newest is None else _drift(newest)
    return ModelsNow(
        chain=None if chain is None else chain.id,
        snapshots=len(vintages),
        live=None if newest is None else newest.key,
        valid_from=None if newest is None else utc(newest.valid_from),
        trained_on=None if newest is None else utc(newest.cut_off),
        rows=None if newest is None else newest.rows,
        drifted_features=drift,
        problem=problem,
    )


def _in_use(root: Path | None) -> tuple[ChainManifest, list[VintageManifest]] | None:
    """Return the chain in use and its snapshots, oldest first, None without one."""
    if root is None or not root.is_dir():
        return None
    store = StoredModels(root)
    chain = store.current()
    if chain is None:
        return None
    known = {manifest.key: manifest for manifest in store.vintages()}
    return chain, [known[key] for key in chain.vintages if key in known]


def _drift(vintage: VintageManifest) -> float | None:
    found = [v for name, v in flatten(vintage.metrics).items() if name.endswith(DRIFT)]
    return float(max(found)) if found else None


@router.get("/models", response_class=HTMLResponse, include_in_schema=False)
def models(request: Request, snapshot: Now) -> HTMLResponse:
    """Show the models in use."""
    now = models_now(snapshot.models, snapshot.at)
    if now.problem or now.chain is None:
        text = now.problem or "No models have been trained: their heads abstain."
        sections = [Section("live", "No model is live", [Text(text)])]
        return sections_page(request, snapshot, "Models", sections)
    found = _in_use(snapshot.models)
    assert found is not None
    assert snapshot.models is not None
    chain, vintages = found
    title = "No snapshot of the chain speaks yet" if now.live is None else "What is live"
    sections = [Section("live", title, list(_blocks(now, vintages, snapshot)))]
    evidence = load_evidence(snapshot.models, chain.id)
    measured = models_section(Learned(chain.id, len(vintages), evidence))
    if measured is not None:
        sections.append(measured)
    return sections_page(request, snapshot, "Models", sections)


def _blocks(now: ModelsNow, vintages: list[VintageManifest], snapshot: Snapshot) -> list[Block]:
    if now.valid_from is None or now.trained_on is None:
        sentence = f"Chain {now.chain}."
    else:
        age = ago(now.trained_on, snapshot.at)
        sentence = f"Chain {now.chain}: the live snapshot learned from candles up to {age} ago."
        if now.drifted_features is not None:
            sentence += f" {percent(now.drifted_features)} of its features had drifted by then."
    rows: list[list[Cell | str]] = []
    for vintage in vintages[::-1][:LISTED]:
        drift = _drift(vintage)
        rows.append(
            [
                Cell(when(utc(vintage.valid_from)), "good" if vintage.key == now.live else ""),
                when(utc(vintage.cut_off)),
                number(vintage.rows, 0),
                f"{len(vintage.features)}",
                "" if drift is None else percent(drift),
            ]
        )
    headings = [
        ("speaks from", "UTC"), ("learned up to", "UTC"), ("rows", ""), ("features", ""),
        ("drifted", ""),
    ]  # fmt: skip
    return [Table(headings, rows, sentence)]


@router.get("/api/v1/models")
def models_api(snapshot: Now) -> ModelsNow:
    """Return which models are in use."""
    return models_now(snapshot.models, snapshot.at.astimezone(UTC))
