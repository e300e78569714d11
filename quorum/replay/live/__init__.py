"""A live local exchange: candles replayed against a clock, a test account to trade on."""
