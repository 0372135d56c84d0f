"""Reconciliation: the ledger against a provider's statement, movement by movement.

This module must never book what a statement says: a finding causes a look-up at the provider, and the
settlement of its answer books. What does not heal this way waits for an operator.
"""
