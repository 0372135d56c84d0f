"""What a request costs: a bare server, one lock per request, and the shop, side by side.

Run it as `make bench` or `python -m bench`. `scenarios/` says what is measured, `environment/` where,
`client/` sends the load, `measurement/` runs and computes, `baselines/` are the other servers. The
product never imports this package.
"""
