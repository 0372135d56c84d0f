"""What keeps a simulator from working, and what it answers."""

from boxoffice.errors import BoxofficeError


class SimulatorError(BoxofficeError):
    """The simulator cannot start, or was asked for something that makes no sense."""


class WireRefusal(BoxofficeError):
    """An answer of the simulated provider that is not a success."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body
