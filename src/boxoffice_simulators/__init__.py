"""Simulators of payment providers, for tests and for the demo: `boxoffice simulate toss|stripe`.

Each is a process with a durable book of its own (SQLite), the provider's paths, authentication,
idempotency, error codes, signatures, notices and payment window, and a control port that injects what
goes wrong. Every page says TEST; no money moves.

The package must never be imported by the product, import a module of it that knows money, answer
success before the book is on disk, or listen beyond this machine.
"""
