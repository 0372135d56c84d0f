"""Errors that keep a load test from starting or from ending."""

from boxoffice.errors import BoxofficeError


class LoadtestError(BoxofficeError):
    """The load test cannot continue; the message names the cause and the remedy."""


class GeneratorMissing(LoadtestError):
    """k6 is not installed."""


class TargetUnfit(LoadtestError):
    """The target does not answer, or its schedule is not on sale."""
