"""How the pods were sized: the values of the chart that the load test wrote, or that Helm prints."""

import msgspec

from boxoffice.doctor.facts import Fleet
from boxoffice.errors import SettingsInvalid
from boxoffice.settings import PREFIX, read_value


class _Autoscaling(msgspec.Struct, rename="camel"):
    enabled: bool = False
    max_replicas: int | None = None


class _Serve(msgspec.Struct):
    replicas: int = 1
    workers: int = 1
    autoscaling: _Autoscaling = msgspec.field(default_factory=_Autoscaling)
    env: dict[str, str | bool | int | float] = {}


class _ChartValues(msgspec.Struct):
    serve: _Serve


def fleet_of(values: bytes, pods: int | None, workers: int | None) -> Fleet:
    """Read the chart's values in JSON, with other `pods` and `workers`; raise `SettingsInvalid`."""
    try:
        serve = msgspec.json.decode(values, type=_ChartValues).serve
    except msgspec.MsgspecError as error:
        raise SettingsInvalid(
            f"--values are no values of the chart in JSON ({error}): give the values.json of the load"
            " test, or what `helm get values RELEASE --output json` prints"
        ) from error
    scaling = serve.autoscaling
    most = scaling.max_replicas if scaling.enabled else None
    sized = {
        # A variable of another program is not compared.
        name: read_value(name, str(value))
        for name, value in serve.env.items()
        if name.startswith(PREFIX)
    }
    return Fleet(pods or most or serve.replicas, workers or serve.workers, sized)
