"""The load test of an on-sale: k6 scenarios, a self-checking report, and the deployment it implies.

k6 (a separate program, never linked) sends the load and logs every answer. `runner/` runs it against
embedded servers or a running shop, `measurement/` samples processes and reads the database, `analysis/`
is pure and decides what the figures mean, `report/` is pure and shows them.

The package must never decide a price or availability, change the shop beyond what a buyer could, or
report a figure that it did not measure without saying so.
"""
