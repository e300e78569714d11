"""Quorum: a freqtrade strategy that trades only on a quorum of independent heads."""

from pathlib import Path

from quorum.kernel_cache import drop_stale_kernels, ensure_kernel_cache

__version__ = "0.1.0"

drop_stale_kernels(Path(__file__).parent)
ensure_kernel_cache(Path(__file__).parent)
