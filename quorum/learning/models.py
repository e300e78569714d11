"""The registry of ensemble members.

A sequence model is one more file with a :class:`~quorum.learning.member.Member` whose
``needs_sequence`` is true, and one more line here.
"""

from __future__ import annotations

from quorum.errors import SettingsError
from quorum.learning.light_gbm import LightGbm
from quorum.learning.member import Booster, Member
from quorum.learning.xg_boost import XgBoost

__all__ = ["MEMBERS", "Booster", "LightGbm", "Member", "XgBoost", "member_named"]

MEMBERS: dict[str, type[Member]] = {
    "lightgbm": LightGbm,
    "xgboost": XgBoost,
}


def member_named(name: str) -> type[Member]:
    """Return a registered member.

    Raises
    ------
    SettingsError
        If there is none of that name; lists those there are.
    """
    try:
        return MEMBERS[name]
    except KeyError:
        raise SettingsError(f"member {name!r}: there are {', '.join(MEMBERS)}") from None
