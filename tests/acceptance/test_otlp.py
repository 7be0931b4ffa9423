"""One setting, and a collector has the trace of a provisioning by real processes, from the event to each ERP call, and
the metrics of the same: what became of the run, and how long the ERP took.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from psycopg.conninfo import conninfo_to_dict

from tests.acceptance.cloud_firm import ERP_SECRET, SECRETS, WEBHOOK_SECRET, deliver, open_house, sow
from tests.acceptance.processes import House
from tests.app.test_open_metrics import WANTED
from tests.databases import DatabaseUrls
from tests.otlp_receiver import Receiver, attributes, receiving
from tests.sandbox import clm_process
from tests.sows import milestone_terms

TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
TOLD = {
    "tieline.contract", "tieline.correlation_id", "tieline.event", "tieline.event_type", "tieline.lane",
    "tieline.outcome", "tieline.received_by",
}  # fmt: skip
_CALLS = "SELECT c ->> 0 FROM core.run CROSS JOIN jsonb_array_elements(calls) AS c WHERE trace_id = %s"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def house(tmp_path: Path, database_urls: DatabaseUrls, receiver: Receiver) -> Iterator[House]:
    told = {"TIELINE_OTLP_ENDPOINT": receiver.url, "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20collector-key",
            "OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "500"}  # fmt: skip
    with House(tmp_path, database_urls, {**SECRETS, **told}) as opened:
        yield opened


def test_a_collector_gets_the_whole_trace_with_the_ids_of_the_journal_its_metrics_and_no_secret(
    house: House, receiver: Receiver
) -> None:
    open_house(house)
    api = house.api()
    house.worker()
    event = sow("C-1", milestone_terms()) | {"traceparent": f"00-{TRACE}-{SENDER}-01", "correlationid": "corr-42"}
    assert deliver(api, event).status_code == 202
    house.until("it is provisioned", lambda: house.all_are("active", 1))
    calls = Counter(str(name) for (name,) in house.rows(_CALLS, TRACE))

    def mine() -> list[Span]:
        return [span for span in receiver.spans if span.trace_id.hex() == TRACE]

    house.until(
        "all calls are told", lambda: sum(span.kind == Span.SPAN_KIND_CLIENT for span in mine()) == calls.total()
    )
    house.until("the runs are told", lambda: len(receiver.named("contract.converge")) > 0)
    spans = mine()
    [received] = [span for span in spans if span.name == "event.receive"]
    runs = {span.span_id: span for span in spans if span.name == "contract.converge"}
    sent = [span for span in spans if span.kind == Span.SPAN_KIND_CLIENT]
    done = {span.span_id: span for span in spans if span not in (received, *runs.values(), *sent)}

    # From the sender's span through event, run and operation to each call, in two processes.
    assert received.parent_span_id.hex() == SENDER
    assert {span.parent_span_id for span in runs.values()} == {received.span_id}
    assert {span.parent_span_id for span in done.values()} <= runs.keys()
    assert {span.parent_span_id for span in sent} <= runs.keys() | done.keys()
    assert {receiver.parts[span.span_id] for span in (received,)} == {"api"}
    assert {receiver.parts[span.span_id] for span in (*runs.values(), *done.values(), *sent)} == {"worker"}
    assert Counter(span.name for span in sent) == calls
    assert {"project.create", "project.activate"} <= {span.name for span in done.values()}
    for span in sent:
        above = done.get(span.parent_span_id) or runs[span.parent_span_id]
        assert above.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= above.end_time_unix_nano

    # The same ids as in the journal.
    journal = {str(one) for (one,) in house.rows("SELECT DISTINCT span_id FROM core.operation WHERE span_id <> ''")}
    assert {span_id.hex() for span_id in done} == journal
    [(correlation,)] = house.rows("SELECT DISTINCT correlation_id FROM core.run WHERE trace_id = %s", TRACE)
    assert correlation == "corr-42"
    for run in runs.values():
        about = attributes(run)
        assert (about["tieline.correlation_id"], about["tieline.contract"], about["tieline.lane"]) == (
            "corr-42", "C-1", "cloud",
        )  # fmt: skip
    assert {attributes(span)["tieline.outcome"] for span in sent} == {"ok"}

    _metrics_say_the_same(house, receiver, calls)

    # Nothing else than that, nothing secret, and nothing of what the contract says.
    assert {key for span in spans for key in attributes(span)} <= TOLD
    whole = b"".join(receiver.bodies)
    password = conninfo_to_dict(house.urls.app_libpq)["password"]
    for secret in (ERP_SECRET, WEBHOOK_SECRET, clm_process.TOKEN, password, "Bearer", "CUST-", "250000"):
        assert str(secret).encode() not in whole, secret
    assert (receiver.paths, receiver.services) == ({"/v1/traces", "/v1/metrics"}, {"tieline"})
    assert receiver.authorizations == {"Bearer collector-key"}
    _metrics_lead_to_it(house, api, calls)


def _metrics_say_the_same(house: House, receiver: Receiver, calls: Counter[str]) -> None:
    """By the same setting: each run by its outcome, each call to the ERP, and the delivery of the event."""

    def told(name: str) -> list[tuple[dict[str, str], int]]:
        return [(attributes(point), point.count) for point in receiver.durations.get(name, ())]

    def ran() -> dict[tuple[str, str], int]:
        points = told("tieline.contract.run.duration")
        return {(about["tieline.lane"], about["tieline.outcome"]): n for about, n in points}

    def called() -> dict[str, int]:
        """Those that went well; some are of no run."""
        well = [(about, n) for about, n in told("tieline.call.duration") if "error.type" not in about]
        return {about["tieline.operation"]: n for about, n in well if about["tieline.system"] == "cloud"}

    [(converged,)] = house.rows("SELECT count(*) FROM core.run WHERE (lane, outcome) = ('cloud', 'converged')")
    delivered = ({"http.request.method": "POST", "http.route": "/v1/events"}, 1)
    assert converged
    house.until("the run is measured", lambda: ran().get(("cloud", "converged")) == converged)
    house.until("the calls are measured", lambda: all(called().get(name, 0) >= n for name, n in calls.items()))
    house.until("the delivery is measured", lambda: delivered in told("http.server.request.duration"))
    assert all(0 < point.sum < 60 for point in receiver.durations["tieline.contract.run.duration"])


def _metrics_lead_to_it(house: House, api: str, calls: Counter[str]) -> None:
    """/metrics counts the calls of the run, and its exemplars name the trace."""

    def counted() -> dict[str, float]:
        answer = httpx.get(f"{api}/metrics", headers=WANTED, trust_env=False)
        assert answer.status_code == 200, answer.text
        found: dict[str, float] = {}
        for family in openmetrics(answer.text):  # type: ignore[no-untyped-call]
            for sample in family.samples:
                if sample.name == "tieline_call_duration_seconds_count" and sample.labels["kind"] == "erp":
                    found[sample.labels["operation"]] = found.get(sample.labels["operation"], 0) + sample.value
                if sample.exemplar is not None and sample.labels["operation"] in calls:
                    traces.add(sample.exemplar.labels["trace_id"])
        return found

    traces: set[str] = set()
    house.ask("schedules", "run", "telemetry", "--reason", "a test waits for it")
    house.until("the calls are counted", lambda: all(counted().get(name, 0) >= n for name, n in calls.items()),
                within_s=90)  # fmt: skip
    assert TRACE in traces
