"""What keeps a load test from starting or ending."""

from boxoffice.errors import BoxofficeError


class LoadtestError(BoxofficeError):
    """The load test cannot go on; the sentence says why and what to do."""


class GeneratorMissing(LoadtestError):
    """There is no k6 on this machine."""


class TargetUnfit(LoadtestError):
    """The installation cannot be reached, or its schedule is not on sale."""
