"""Contracts: found and paged, and one with its events, runs, exceptions and what the ERP holds."""

from datetime import date
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Response
from pydantic import Field

from app.api.answers import Converted, Moment, MoneyView, PageOf, Paging, View, answer, paging
from app.api.calling import Call, calling
from app.api.exception_views import ExceptionView
from app.api.inputs import NO_NUL, Id, Text
from app.api.routing import problems, resource
from sync_core.authority import Permission
from sync_core.commands.desk import NotFound
from sync_core.desired import Scalar
from sync_core.errors import Function
from sync_core.journal.progress import State
from sync_core.life.life_row import RenewalState
from sync_core.reads.contract import ContractDetail
from sync_core.reads.contracts import ContractFilter, Sort

routes = resource("contracts")
Reading = Annotated[Call, Depends(calling(Permission.CONTRACTS_READ))]


class ContractView(View):
    """One contract in a list."""

    contract_id: int
    source: Annotated[str, Field(description="The CLM, as the CloudEvents source")]
    external_id: Annotated[str, Field(description="Its id in the CLM")]
    title: str
    customer_name: str
    legal_entity: Annotated[str, Field(description="Empty: not known yet")]
    service_line: str
    geography: str
    billing: str
    lane: Annotated[str, Field(description="The ERP")]
    state: State
    state_since: Moment
    signed_at: Moment | None
    first_active_at: Moment | None
    updated_at: Moment
    value: MoneyView | None
    value_reporting: Annotated[Converted | None, Field(description="null: no exchange rate")]
    bill_on: date | None
    project_ref: str | None
    last_error: str | None
    functions: Annotated[list[str], Field(description="Business functions with an open exception on it")]
    suspension: Annotated[str, Field(description="Since when and why it is suspended; empty: it is not")]
    renewal: Annotated[RenewalState, Field(description="Empty: nothing is to be renewed")]
    renews_on: date | None
    notice_by: date | None


class ChangeView(View):
    """One field before and after."""

    field: Annotated[str, Field(description="In words: `milestone M1, amount`")]
    before: str | None
    after: str | None


class EventView(View):
    """One stored event and what it changed."""

    source: str
    id: str
    type: str
    what: str
    occurred_at: Moment
    recorded_at: Moment
    received_by: str
    correlation_id: str
    changes: list[ChangeView]
    problem: Annotated[str | None, Field(description="Why it cannot be read")]


class OperationView(View):
    """One thing done in an ERP, or decided against; the fields that differ."""

    step: int
    system: str
    action: str
    kind: str
    business_key: str
    ref: str | None
    status: str
    before: dict[str, Scalar] | None
    after: dict[str, Scalar] | None
    error_class: str | None
    error: str | None
    span_id: str | None
    started_at: Moment
    finished_at: Moment


class RunView(View):
    """One reconciliation, with its operations in order."""

    run_id: UUID
    rev: int
    lane: str
    outcome: str
    state: str
    correlation_id: str
    trace_id: str | None
    started_at: Moment
    finished_at: Moment
    error_class: str | None
    error: str | None
    operations: list[OperationView]


class ErpObjectView(View):
    """What the ERP was last read to hold."""

    system: str
    kind: str
    business_key: str
    state: str
    ref: str | None
    fields: dict[str, Scalar] | None
    confirmed_at: Moment | None
    shared: bool


class FinancialView(View):
    """One status of an invoice, payment or dispute, or a posting of revenue with its contract line."""

    system: str
    kind: str
    ref: str
    invoice_ref: str | None
    money: MoneyView
    status: str
    occurred_on: date
    recorded_at: Moment
    line: str | None
    reverses: str | None


class ReachedView(View):
    """A step that the contract passed."""

    step: str
    amendment: int | None
    occurred_at: Moment
    recorded_at: Moment


class ContractDetailView(View):
    """Runs newest first, 50 at most; all else oldest first."""

    summary: ContractView
    last_error_class: str | None
    correlation_id: str | None
    terms: Annotated[dict[str, str], Field(description="The contract as of now, in words, field by field")]
    events: list[EventView]
    more_events: Annotated[bool, Field(description="There are older ones than those shown")]
    runs: list[RunView]
    exceptions: Annotated[list[ExceptionView], Field(description="Empty without the scope exceptions:read")]
    objects: list[ErpObjectView]
    financials: list[FinancialView]
    progress: list[ReachedView]


async def contract_filter(
    text: Annotated[Text, Query(description="In id, title, customer or project, any case")] = "",
    external_id: Annotated[Text, Query(description="The whole id in its CLM; those of two CLMs may be the same")] = "",
    state: Annotated[list[State] | None, Query(description="Several may be given")] = None,
    legal_entity: Text = "",
    service_line: Text = "",
    billing: Text = "",
    lane: Text = "",
    function: Annotated[Function | None, Query(description="Has an open exception with this function")] = None,
    tests: Annotated[bool, Query(description="Trial contracts too")] = False,
) -> ContractFilter:
    return ContractFilter(
        text=text, external_id=external_id, states=tuple(state or ()), legal_entity=legal_entity,
        service_line=service_line, billing=billing, lane=lane, function=function or "", tests=tests,
    )  # fmt: skip


@routes.get("/contracts", response_model=PageOf[ContractView], summary="List contracts")
def list_contracts(
    call: Reading,
    page: Annotated[Paging, Depends(paging)],
    wanted: Annotated[ContractFilter, Depends(contract_filter)],
    sort: Annotated[Sort, Query(description="Rows without the value come last")] = Sort.UPDATED,
) -> Response:
    found = call.reads.contracts(wanted, sort=sort, window=page.window)
    call.showed(row.contract_id for row in found.rows)
    return page.answer(found, ContractView)


@routes.get(
    "/contracts/by-key",
    response_model=ContractDetailView,
    responses=problems(404),
    summary="One contract by the id that its CLM gave it",
)
def contract_by_key(
    call: Reading,
    source: Annotated[
        str, Query(max_length=400, pattern=NO_NUL, description="The CLM's CloudEvents source",
                   examples=["//clm.example/contracts"]),
    ],
    external_id: Annotated[str, Query(max_length=400, pattern=NO_NUL, examples=["C-1001"])],
) -> Response:  # fmt: skip
    return _detail(call, call.reads.contract((source, external_id)), external_id)


@routes.get(
    "/contracts/{contract_id}", response_model=ContractDetailView, responses=problems(404), summary="One contract"
)
def contract_by_id(call: Reading, contract_id: Id) -> Response:
    return _detail(call, call.reads.contract(contract_id), str(contract_id))


def _detail(call: Call, found: ContractDetail | None, asked: str) -> Response:
    if found is None:
        raise NotFound(f"there is no contract {asked[:100]} within your reach")
    row = found.summary
    call.showed_one(
        "contract.read", f"contract {row.external_id}", contract_id=row.contract_id, legal_entity=row.legal_entity
    )
    where = {"content-location": f"/v1/contracts/{row.contract_id}"}
    return answer(contract_detail(found), status=HTTPStatus.OK, headers=where)


def contract_detail(found: ContractDetail) -> ContractDetailView:
    """As the API tells of a contract."""
    return ContractDetailView(
        summary=ContractView.model_validate(found.summary),
        last_error_class=found.last_error_class,
        correlation_id=found.correlation_id,
        terms=dict(found.terms),
        events=[
            EventView(
                source=moment.event.source,
                id=moment.event.id,
                type=moment.event.type,
                what=moment.what,
                occurred_at=moment.event.occurred_at,
                recorded_at=moment.event.recorded_at,
                received_by=moment.event.received_by,
                correlation_id=moment.event.correlation_id,
                changes=[ChangeView.model_validate(change) for change in moment.changes],
                problem=moment.problem,
            )
            for moment in found.timeline
        ],
        more_events=found.more_events,
        runs=[RunView.model_validate(run) for run in found.runs],
        exceptions=[ExceptionView.model_validate(case.case) for case in found.cases],
        objects=[ErpObjectView.model_validate(held) for held in found.objects],
        financials=[FinancialView.model_validate(fact) for fact in found.financials],
        progress=[ReachedView.model_validate(reached) for reached in found.progress],
    )
