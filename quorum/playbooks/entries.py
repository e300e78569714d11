"""Which playbook enters on each candle of a pair (spec B1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quorum.playbooks.base import Playbook
from quorum.typing import Bools, Floats


def entering(
    playbooks: Sequence[Playbook[Any]],
    columns: Mapping[str, Floats],
    side: np.ndarray[Any, np.dtype[np.int8]],
    tradable: Bools,
) -> np.ndarray[Any, np.dtype[np.int8]]:
    """Return the playbook that may enter on each candle, as its place in the list, else -1.

    Parameters
    ----------
    playbooks : sequence of Playbook
        In order of their right to the pair.
    columns : mapping of name to ndarray of shape (n_candles,)
    side : ndarray of shape (n_candles,), int8
        +1 where a quorum is long, -1 short, 0 where there is none.
    tradable : ndarray of shape (n_candles,), bool
    """
    chosen = np.full(len(side), -1, dtype=np.int8)
    for place, playbook in enumerate(playbooks):
        enters = playbook.enters(columns) & tradable & (chosen < 0)
        if playbook.settings.quorum == "gate":
            enters &= side > 0
        elif playbook.settings.quorum == "veto":
            enters &= side >= 0
        chosen[enters] = place
    return chosen
