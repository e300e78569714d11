"""The adapters to freqtrade: the only part of the package that imports it."""
