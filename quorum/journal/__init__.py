"""The journal of a running bot: what it saw and decided at the close of every candle."""
