"""Starts traces where a collector is named; loads OpenTelemetry only then."""

from contextlib import AbstractContextManager, nullcontext

from boxoffice.errors import SettingsInvalid
from boxoffice.settings import ObservabilitySettings


def traced(settings: ObservabilitySettings, role: str) -> AbstractContextManager[object]:
    """Make spans for the duration of the block, if `traces_url` is set; `role` names the process.

    Raises `SettingsInvalid` where the packages of the extra `tracing` are missing.
    """
    if not settings.traces_url:
        return nullcontext()
    try:
        from boxoffice.observability.tracing.tracer import tracing  # noqa: PLC0415 — optional
    except ModuleNotFoundError as error:
        raise SettingsInvalid(
            "BOXOFFICE_TRACES_URL needs the packages of the extra 'tracing': "
            f"pip install 'boxoffice[tracing]' ({error})"
        ) from error
    return tracing(settings, role)
