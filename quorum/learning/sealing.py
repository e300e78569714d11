"""A checksum inside a model's own bytes, so that no library ever parses damaged ones.

The libraries' loaders trust their input: a flipped bit can end the process or loop for ever. The
seal is one last line, which both libraries skip when they read the file themselves.
"""

from __future__ import annotations

import hashlib

from quorum.errors import DataError

MARK = b"\nquorum-sha256:"
LENGTH = len(MARK) + 64 + 1


def seal(body: bytes) -> bytes:
    """Return the bytes with their checksum behind them."""
    return body + MARK + hashlib.sha256(body).hexdigest().encode() + b"\n"


def unseal(data: bytes, what: str) -> bytes:
    """Return the bytes before the seal.

    Raises
    ------
    DataError
        If there is no seal, or the bytes are not those that were sealed.
    """
    body, tail = data[:-LENGTH], data[-LENGTH:]
    if not tail.startswith(MARK):
        raise DataError(f"{what}: not the bytes of a saved model, or cut short ({len(data)} bytes)")
    if seal(body) != data:
        raise DataError(f"{what}: damaged, its {len(body)} bytes do not match their checksum")
    return body
