"""Every kind of state: one file with its tables, and one line here."""

from __future__ import annotations

from quorum.state.kind import Kind
from quorum.state.kinds.advice import ADVICE_LEDGER
from quorum.state.kinds.guards import GUARDS
from quorum.state.kinds.journal import JOURNALS

#: In the order in which they are made and moved.
KINDS: tuple[Kind, ...] = (
    GUARDS,
    JOURNALS,
    ADVICE_LEDGER,
)
