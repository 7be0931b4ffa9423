"""How Tieline itself runs: latencies, backlog, attempts and replays of a window, and the service-level objectives."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Query, Response
from pydantic import Field

from app.api.answers import Moment, PageOf, Paging, View, answer, paging
from app.api.calling import Call, calling
from app.api.routing import resource
from metrics.backlog import Backlog, over_all
from metrics.histograms import Quantile
from metrics.technical import LONGEST, SHORTEST, Attempts, Calls, together
from sync_core.authority import Permission

routes = resource("telemetry")
Reading = Annotated[Call, Depends(calling(Permission.KPI_READ))]
Minutes = Annotated[
    int,
    Query(ge=int(SHORTEST / timedelta(minutes=1)), le=int(LONGEST / timedelta(minutes=1)), description="The window"),
]


class QuantileView(View):
    """Seconds, linear inside the bucket; `error_s` is the bucket's width. Beyond the last bound only `at_least_s`."""

    value_s: float | None
    error_s: float | None
    at_least_s: float | None


class CallsView(View):
    kind: Annotated[str, Field(description="erp, clm, web (requests to Tieline) or db (statements)")]
    system: str
    operation: str
    writes: bool | None
    n: int
    failed: int
    mean_s: float | None
    p50: QuantileView
    p90: QuantileView
    p99: QuantileView
    outcomes: dict[str, int]


class AttemptsView(View):
    """An attempt is one run, a message one revision of one contract. Rates are null where nothing happened."""

    attempts: int
    failed: int
    by_label: dict[str, int]
    messages: int
    failed_messages: int
    failure_rate: float | None
    message_failure_rate: float | None
    amplification: Annotated[float | None, Field(description="Attempts per message")]


class BacklogView(View):
    contracts: dict[str, int]
    oldest_age_s: dict[str, float]
    completed: Annotated[int, Field(description="Runs that ended well in the last 15 minutes")]
    drain_s: Annotated[float | None, Field(description="null: nothing is completed, so it never drains")]


class ReplaysView(View):
    """Items of replays that were made in the window; `no_op`: verified without a write."""

    requested: int
    executed: int
    verified: int
    no_op: int
    failed: int
    replays: int


class ClmView(View):
    """As sampled last, within a minute."""

    feed_age_s: Annotated[float | None, Field(description="Since its feed was read to the end; null: never")]
    found_by_poll: Annotated[int, Field(description="Events of 24 hours that no webhook had brought")]
    not_understood: Annotated[int, Field(description="Events in quarantine")]
    reports_due: Annotated[int, Field(description="Contracts of which it is to be told something")]
    reports_oldest_s: Annotated[float | None, Field(description="How long the first has been due; null: none is")]


class TelemetryView(View):
    since: Moment
    until: Moment
    calls: list[CallsView]
    attempts: AttemptsView
    attempts_by_lane: dict[str, AttemptsView]
    backlog: BacklogView
    backlog_by_lane: dict[str, BacklogView]
    replays: ReplaysView
    database: dict[str, float]
    clms: Annotated[dict[str, ClmView], Field(description="By name")]


class ObjectiveView(View):
    """`broken_at` null: it is kept. Budgets are of 30 days: 1 is untouched, below 0 is overspent."""

    name: str
    title: str
    objective: Annotated[float, Field(description="The target that holds: the estate's, else the suggested one")]
    suggested: Annotated[float, Field(description="Tieline's own target")]
    events: str
    state: str
    says: str
    good_share: float | None
    budget_left: float | None
    total: int
    bad: int
    burn_rates: Annotated[dict[str, float], Field(description="By the window's seconds")]
    stuck: list[str]
    evaluated_at: Moment | None
    broken_at: Moment | None


class ReleaseView(View):
    """A version that comes back after another, as in a roll-back, is a release of its own."""

    system: Annotated[str, Field(description="tieline, postgresql, erp:<name> or clm:<name>")]
    version: str
    first_seen_at: Moment
    last_seen_at: Moment
    replaced: Annotated[str | None, Field(description="null: the first that was seen of this system")]


class ObjectivesView(View):
    objectives: list[ObjectiveView]


@routes.get("/telemetry", response_model=TelemetryView, summary="Latency, backlog, failures, retries and replays")
def telemetry(call: Reading, minutes: Minutes = 60) -> Response:
    found = call.measures.technical.report(timedelta(minutes=minutes))
    return answer(
        TelemetryView(
            since=found.since,
            until=found.until,
            calls=[_calls(one) for one in found.calls],
            attempts=_attempts(together(found.attempts)),
            attempts_by_lane={lane: _attempts(part) for lane, part in found.attempts.items()},
            backlog=_backlog(over_all(found.backlog)),
            backlog_by_lane={lane: _backlog(part) for lane, part in found.backlog.items()},
            replays=ReplaysView.model_validate(found.replays),
            database=dict(found.database),
            clms={name: ClmView.model_validate(one) for name, one in found.clms.items()},
        )
    )


@routes.get("/objectives", response_model=ObjectivesView, summary="The service-level objectives, as of a minute ago")
def objectives(call: Reading) -> Response:
    found = [ObjectiveView.model_validate(one) for one in call.measures.objectives()]
    return answer(ObjectivesView(objectives=found))


@routes.get("/releases", response_model=PageOf[ReleaseView], summary="Which release each system ran when, newest first")
def releases(call: Reading, page: Annotated[Paging, Depends(paging)]) -> Response:
    return page.answer(call.reads.releases(page.window), ReleaseView)


def _calls(one: Calls) -> CallsView:
    return CallsView(
        kind=one.kind, system=one.system, operation=one.operation, writes=one.writes, n=one.n, failed=one.failed,
        mean_s=one.histogram.mean_s, p50=_quantile(one.quantile(0.5)), p90=_quantile(one.quantile(0.9)),
        p99=_quantile(one.quantile(0.99)), outcomes=dict(one.outcomes),
    )  # fmt: skip


def _quantile(one: Quantile) -> QuantileView:
    return QuantileView(value_s=one.value_s, error_s=one.error_s, at_least_s=one.at_least_s)


def _attempts(one: Attempts) -> AttemptsView:
    return AttemptsView(
        attempts=one.attempts, failed=one.failed, by_label=dict(one.by_label), messages=one.messages,
        failed_messages=one.failed_messages, failure_rate=one.failure_rate,
        message_failure_rate=one.message_failure_rate, amplification=one.amplification,
    )  # fmt: skip


def _backlog(one: Backlog) -> BacklogView:
    return BacklogView(
        contracts={state.value: n for state, n in one.contracts.items()},
        oldest_age_s={state.value: age for state, age in one.oldest_age_s.items()},
        completed=one.completed, drain_s=one.drain_s,
    )  # fmt: skip
