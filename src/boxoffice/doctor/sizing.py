"""How the pods were sized: the values of the chart that the load test wrote, or that Helm prints."""

import msgspec

from boxoffice.doctor.facts import Fleet
from boxoffice.errors import SettingsInvalid
from boxoffice.settings import PREFIX, read_value

# Without --all Helm leaves the chart's own values out, and with them the number of pods.
_PRINTED_BY = "helm get values RELEASE --all --output json"


class _Autoscaling(msgspec.Struct, rename="camel"):
    enabled: bool = False
    max_replicas: int | None = None


class _Serve(msgspec.Struct):
    replicas: int | None = None
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
            f" test, or what `{_PRINTED_BY}` prints"
        ) from error
    scaling = serve.autoscaling
    sized = {
        # A variable of another program is not compared.
        name: read_value(name, str(value))
        for name, value in serve.env.items()
        if name.startswith(PREFIX)
    }
    replicas = pods or (scaling.max_replicas if scaling.enabled else serve.replicas)
    if replicas is None:
        raise SettingsInvalid(
            "--values do not say how many pods there will be: without the chart's defaults they are not"
            f" whole. Give what `{_PRINTED_BY}` prints, or --pods"
        )
    return Fleet(replicas, workers or serve.workers, sized)
