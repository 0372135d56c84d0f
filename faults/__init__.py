"""Fault injection: break every part of the installation during a sale, and judge what clients saw.

Layout:

- `scenario`: what a scenario is; `scenarios/` has them, one module per component.
- `cluster/`: the installation under test.
- `workload/`: buyers, whose requests a balancer spreads over the API processes.
- `interference/`: abusive clients, floods, foreign database sessions.
- `checks/`: the clients' record, compared with the database; linearizability per seat; the audit.
- `guards/`: the markers in the source, and trials without a guard.
- `report/`: results, targets, summary. `runner` runs the scenarios.

To add a scenario, write `async (cluster, load, random, trials) -> Observations` in the module of
its component and append a `Scenario` to that module's `SCENARIOS`. The sale runs when the function
is called, and afterwards the runner checks the record against the database, the audit, the seat
histories, and every failed request. So the function only injects its fault, inside `with
load.fault(...)`, which names the affected processes, and waits for the next sale; other
expectations that fail go into `Observations.broken`. A scenario without a running sale is a
`StandaloneScenario`. What this machine lacks is `raise NotRun("reason")`. `--list` prints what the
scenario does and expects; docs/faults.md has a line per component.
"""
