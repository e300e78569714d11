"""Optional libraries: imported where they are used, and named with their extra where missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from quorum.errors import QuorumError


class MissingLibraryError(QuorumError):
    """A library of an extra is not installed."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import what belongs to an extra.

    ::

        with extra("report"):
            from plotly.offline import get_plotlyjs

    Raises
    ------
    MissingLibraryError
        If it is not installed; says how to install it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "a library").partition(".")[0]
        raise MissingLibraryError(
            f'{library} is not installed: pip install "freqtrade-quorum[{name}]"'
        ) from error


def library(name: str, module: str) -> Any:
    """Import a module of an extra whole, as one that is not typed.

    Raises
    ------
    MissingLibraryError
        If it is not installed.
    """
    with extra(name):
        return import_module(module)


def require(name: str, *modules: str) -> None:
    """Import modules of an extra before work starts that needs them at its end.

    Raises
    ------
    MissingLibraryError
        For the first that is not installed.
    """
    for module in modules:
        library(name, module)
