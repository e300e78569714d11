"""What comes with the package for a user directory: strategy, loss, configurations.

They lie at the top of the repository, the wheel holds copies (``setup.py``).
"""

from __future__ import annotations

from pathlib import Path

from quorum.errors import DataError

_PACKAGE = Path(__file__).parent
#: Inside an installed package, else the repository it was installed from in place.
_PLACES = (_PACKAGE / "user_files", _PACKAGE.parent)


def shipped(name: str) -> Path:
    """Return the path of a shipped file or folder, for example ``strategies``.

    Raises
    ------
    DataError
        If the installation lacks it.
    """
    for place in _PLACES:
        if (place / name).exists():
            return place / name
    raise DataError(
        f"{name}: this installation of Quorum lacks it (looked in "
        f"{', '.join(map(str, _PLACES))}); install the wheel, or in place from the repository"
    )
