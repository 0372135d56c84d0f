"""The on-sale load test: k6 scenarios, a report that audits itself, and the deployment that it implies.

k6 (a program of its own, never linked) sends the load and writes down every answer. `service.py` runs
it against the embedded servers or a running installation, `sampler.py` watches the processes, and the
pure modules decide: `rules.py` what the answers mean, `comparison.py` whether client and database
agree, `fit.py`, `capacity.py` and `sizing.py` what the measurement implies. `report.py` and its
neighbours only show.

It must never decide a price or an availability, change what it measures beyond what a buyer could, or
state a figure that it did not measure without saying so.
"""
