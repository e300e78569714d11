"""Advisors: what language models say of the market, as records with the moment they arrived.

Two halves that never meet in one process. A *writer* (``quorum advise``) asks providers and
appends what they answer to the ledger; the bot and every backtest only read the ledger. No
candle waits for a provider, and nothing a backtest imports can call one (spec A6).
"""
