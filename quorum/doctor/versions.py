"""Versions of Python and of every package against what Quorum is made for."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from packaging.specifiers import SpecifierSet

from quorum.doctor.base import Finding, Level, Setup


def versions(setup: Setup) -> Iterator[Finding]:
    """Compare what is installed with the ranges of the package."""
    good = []
    for name, wanted in setup.requirements.items():
        try:
            found = platform.python_version() if name == "python" else version(name)
        except PackageNotFoundError:
            yield Finding(
                Level.PROBLEM, f"{name} is not installed", f"{name}{wanted}", f"pip install {name}"
            )
            continue
        if SpecifierSet(wanted).contains(found, prereleases=True):
            good.append(f"{name} {found}")
        else:
            yield Finding(
                Level.PROBLEM,
                f"{name} {found} is not a version Quorum is made for",
                f"{name}{wanted}",
                f"use Python {wanted}" if name == "python" else f'pip install "{name}{wanted}"',
            )
    if good:
        yield Finding(Level.OK, f"{len(good)} versions are in range", ", ".join(good))
