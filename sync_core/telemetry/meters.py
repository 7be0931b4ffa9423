"""What takes how long, as OpenTelemetry's metrics: names and attributes by its semantic conventions, where it has some.

Without an SDK in the process an observation costs a microsecond and goes nowhere. No attribute is an id of a contract.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from opentelemetry import metrics

_METER: Final = metrics.get_meter("tieline")
_HTTP: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_FAR: Final = (*_HTTP, 15.0, 30.0, 60.0, 120.0)
_DB: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_RUN: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


def _durations(name: str, what: str, bounds: tuple[float, ...]) -> metrics.Histogram:
    return _METER.create_histogram(name, unit="s", description=what, explicit_bucket_boundaries_advisory=bounds)


_CALLS: Final = _durations("tieline.call.duration", "Calls to ERPs and CLMs", _FAR)
_KINDS: Final[Mapping[str, metrics.Histogram]] = {
    "erp": _CALLS,
    "clm": _CALLS,
    "web": _durations("http.server.request.duration", "Requests to pages, intake and API", _HTTP),
    "db": _durations("db.client.operation.duration", "Statements", _DB),
}
_RUNS: Final = _durations("tieline.contract.run.duration", "Runs of contracts, from claim to outcome", _RUN)


def took(kind: str, system: str, operation: str, outcome: str, seconds: float) -> None:
    """One call, request or statement. `kind` is one of sync_core.telemetry.latencies.Kind."""
    _KINDS[kind].record(seconds, _attributes(kind, system, operation, outcome))


def ran(lane: str, outcome: str, seconds: float) -> None:
    """One run of a contract."""
    _RUNS.record(seconds, {"tieline.lane": lane, "tieline.outcome": outcome})


@lru_cache(maxsize=4_096)
def _attributes(kind: str, system: str, operation: str, outcome: str) -> Mapping[str, str]:
    failed = {} if outcome == "ok" else {"error.type": outcome}
    first, _, rest = operation.partition(" ")
    if kind == "web":
        return {"http.request.method": first, "http.route": rest, **failed}
    if kind == "db":
        return {"db.system.name": system, "db.operation.name": rest, **failed}
    return {"tieline.system": system, "tieline.operation": operation, **failed}
