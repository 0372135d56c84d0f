"""The clients' record and what judges it: comparison with the database, linearizability, the audit."""
