"""PyTorch: only to train the LSTM; which build is there, and whether it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, version

from quorum.doctor.base import Finding, Level, Setup

#: Who wants PyTorch.
MEMBER = "lstm"
WANTED_BY = "quorum.learning.ensemble.members"
#: Packages that come with a build for graphics cards.
GRAPHICS = ("nvidia-", "pytorch-triton")


def pytorch(setup: Setup) -> Iterator[Finding]:
    """Say which build of PyTorch there is, where the ensemble has an LSTM."""
    learning = setup.settings.learning
    if not learning.enabled or MEMBER not in learning.ensemble.members:
        yield Finding(Level.OK, "no LSTM is wanted, so PyTorch is not", WANTED_BY)
        return
    try:
        found = version("torch")
    except PackageNotFoundError:
        serious = Level.PROBLEM if learning.retrain else Level.HINT
        yield Finding(
            serious,
            "PyTorch is not installed: an LSTM is served here, but not trained",
            WANTED_BY,
            'pip install "freqtrade-quorum[sequence]", the build for the CPU (docs/models.md)',
        )
        return
    if found.endswith("+cpu") or not _for_graphics_cards():
        yield Finding(Level.OK, f"PyTorch {found}, a build for the CPU, trains the LSTM", WANTED_BY)
        return
    yield Finding(
        Level.HINT,
        f"PyTorch {found} is a build for graphics cards: gigabytes that nothing here uses",
        WANTED_BY,
        "install the build for the CPU (docs/models.md)",
    )


def _for_graphics_cards() -> bool:
    names = (str(found.metadata["Name"] or "").lower() for found in distributions())
    return any(name.startswith(GRAPHICS) for name in names)
