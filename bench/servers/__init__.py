"""HTTP servers side by side, with nothing but the baseline behind them: cost, drain and slow clients.

Run it as `make bench-servers` or `python -m bench.servers`. Decision 0004 rests on it.
"""
