"""The registry of ensemble members: by name, where each is defined.

A member is one more file with a :class:`~quorum.learning.member.Member`, and one more line here.
Places, not classes: the settings know the names without importing the libraries behind them.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from quorum.errors import SettingsError

if TYPE_CHECKING:
    from quorum.learning.member import Member

MEMBERS: dict[str, str] = {
    "lightgbm": "quorum.learning.light_gbm:LightGbm",
    "xgboost": "quorum.learning.xg_boost:XgBoost",
    "lstm": "quorum.learning.lstm:Lstm",
}


def member_named(name: str) -> type[Member]:
    """Return a registered member.

    Raises
    ------
    SettingsError
        If there is none of that name; lists those there are.
    """
    if name not in MEMBERS:
        raise SettingsError(f"member {name!r}: there are {', '.join(MEMBERS)}")
    found: type[Member] = resolve_name(MEMBERS[name])
    return found
