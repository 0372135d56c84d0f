"""`python -m faults`: kills, stops, starves and confuses every part of the shop while it sells.

How it fits together: `matrix` is the table of rows, one module per part in `rows/`; `cluster` runs the
installation; `load` buys in it, as `wishes` says and at the process that `balancer` chooses, and keeps
`record`; `compare` and `linear` judge the record, purely; `checks` reads the database for them;
`runner` plays the rows and `scoreboard` prints what they saw.

How to add a row: write an async function `(cluster, load, random, trials) -> Observations` in the
module
of its part and append a `Row` to that module's `ROWS`. The load is running when the function is called
and is checked after it has returned: the record against the database both ways, the audit, the seat
history, and every answer that was neither a success, a refusal of the business, nor excused by a fault
under way. So a row only has to make its fault, inside `with load.fault(...)`, where it says whom it
strikes, and to wait for the next sale; what else it expects it says in `Observations.broken`. A row
that needs no shop on sale is an `Errand`. What cannot be had on this machine is `raise NotRun("why")`.
Then give the row a line in docs/faults.md; a test compares the page with the table.
"""
