"""The harmonic patterns as data: which ratios make which pattern (spec H7).

Ratios: S. Carney, Harmonic Trading, volumes 1-3; Cypher: D. Oglesbee; ABCD: H. M. Gartley.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from quorum.typing import Floats

Span = tuple[float, float]
#: What a projection of D is measured on (and from): XA from A, XC from C, AB from C.
OF_XA, OF_XC, OF_AB = 0, 1, 2


@dataclass(frozen=True)
class Pattern:
    """The ratios that define one harmonic pattern, as (lowest, highest) ideal value.

    Attributes
    ----------
    name : str
    b : tuple of float or None
        AB / XA; None where the pattern has no X.
    c : tuple of float
        BC / AB, or XC / XA where ``c_of_xa``.
    d : tuple of float
        AD / XA, CD / XC or CD / AB, as ``d_of`` says.
    cd : tuple of float
        CD / BC.
    cd_ab : tuple of float or None
        CD / AB, which confirms but is not required; None where it plays no part.
    """

    name: str
    b: Span | None
    c: Span
    d: Span
    cd: Span
    cd_ab: Span | None = None
    d_of: int = OF_XA
    c_of_xa: bool = False

    @property
    def row(self) -> tuple[float, ...]:
        """The pattern as one row of the kernel's table."""
        b = self.b or (np.nan, np.nan)
        cd_ab = self.cd_ab or (np.nan, np.nan)
        flags = (float(self.d_of), float(self.c_of_xa))
        return (*b, *self.c, *self.d, *self.cd, *cd_ab, *flags)


PATTERNS: tuple[Pattern, ...] = (
    Pattern("gartley", (0.618, 0.618), (0.382, 0.886), (0.786, 0.786), (1.13, 1.618), (1.0, 1.0)),
    Pattern("bat", (0.382, 0.5), (0.382, 0.886), (0.886, 0.886), (1.618, 2.618), (1.0, 1.27)),
    Pattern("butterfly", (0.786, 0.786), (0.382, 0.886), (1.27, 1.27), (1.618, 2.24), (1.0, 1.27)),
    Pattern("crab", (0.382, 0.618), (0.382, 0.886), (1.618, 1.618), (2.24, 3.618), (1.27, 1.618)),
    Pattern(
        "deep_crab", (0.886, 0.886), (0.382, 0.886), (1.618, 1.618), (2.0, 3.618), (1.0, 1.618)
    ),
    Pattern("shark", (0.382, 0.618), (1.13, 1.618), (0.886, 1.13), (1.618, 2.24)),
    Pattern(
        "cypher",
        (0.382, 0.618),
        (1.272, 1.414),
        (0.786, 0.786),
        (1.272, 2.0),
        d_of=OF_XC,
        c_of_xa=True,
    ),
    Pattern("abcd", None, (0.618, 0.786), (1.0, 1.0), (1.27, 1.618), d_of=OF_AB),
)
#: Pattern names; column ``harmonic_pattern`` is 1 + the position here.
PATTERN_NAMES: tuple[str, ...] = tuple(p.name for p in PATTERNS)
PatternName = Literal["gartley", "bat", "butterfly", "crab", "deep_crab", "shark", "cypher", "abcd"]

#: Columns of :func:`ratio_table`.
(B_LOW, B_HIGH, C_LOW, C_HIGH, D_LOW, D_HIGH, CD_LOW, CD_HIGH, CD_AB_LOW, CD_AB_HIGH) = range(10)
D_OF, C_OF_XA = 10, 11


def ratio_table(names: tuple[str, ...]) -> Floats:
    """Return one row of ratios per pattern of ``PATTERNS``, NaN for those not in ``names``."""
    rows = np.array([p.row for p in PATTERNS])
    rows[[p.name not in names for p in PATTERNS]] = np.nan
    return rows
