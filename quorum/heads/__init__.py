"""The heads: independent opinions, one file each, registered here in spec order."""

from __future__ import annotations

from typing import Any

from quorum.heads.advisors import AdvisorsHead
from quorum.heads.base import Head, Votes, abstain, make_votes
from quorum.heads.crypto import CryptoHead
from quorum.heads.ensemble import EnsembleHead
from quorum.heads.harmonic import HarmonicHead
from quorum.heads.ict import IctHead
from quorum.heads.rules import RulesHead
from quorum.heads.sentiment import SentimentHead
from quorum.heads.signal import SignalHead
from quorum.heads.structure import StructureHead
from quorum.heads.technical import TechnicalHead
from quorum.heads.volume import VolumeHead
from quorum.heads.wyckoff import WyckoffHead

__all__ = ["APART", "HEADS", "Head", "Votes", "abstain", "make_votes"]

HEADS: tuple[type[Head[Any]], ...] = (
    TechnicalHead,
    SentimentHead,
    VolumeHead,
    RulesHead,
    IctHead,
    WyckoffHead,
    HarmonicHead,
    StructureHead,
    CryptoHead,
    SignalHead,
    EnsembleHead,
)
#: Heads in a panel of their own: they vote and are shown, but are not counted among the heads of
#: the quorum, which they can neither reach for it nor raise (spec C13).
APART: tuple[type[Head[Any]], ...] = (AdvisorsHead,)
