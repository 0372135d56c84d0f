"""Traces by OpenTelemetry: off unless a collector is named, and then without a part in any answer.

`spans` is what the code uses. The other files need the packages of the extra `tracing`, and are loaded
only where traces are made.
"""
