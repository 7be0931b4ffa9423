"""Approvals: what waits for a decision, and the decision."""

from typing import Annotated

from fastapi import Depends, Query, Response
from pydantic import AliasChoices, Field

from app.api.answers import MoneyView, PageOf, Paging, View, done, paging
from app.api.calling import Call, calling
from app.api.conditions import once, read_version
from app.api.exception_views import ExceptionId, ExceptionView, RefusedByView
from app.api.inputs import Body, Id, Reason
from app.api.routing import EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import approvals
from sync_core.commands.approvals import ApprovalDecided
from sync_core.commands.desk import Once
from sync_core.money import Money
from sync_core.reads.approvals import ApprovalStatus

routes = resource("approvals")
Reading = Annotated[Call, Depends(calling(Permission.EXCEPTIONS_READ))]
Deciding = Annotated[Call, Depends(calling(Permission.APPROVALS_DECIDE))]


class ApprovalView(View):
    """The exception that asks; its version is what a decision names in If-Match."""

    exception: Annotated[ExceptionView, Field(validation_alias=AliasChoices("exception", "case"))]
    value: Annotated[MoneyView | None, Field(description="Of the contract: what would be approved")]
    status: ApprovalStatus
    refused: Annotated[RefusedByView | None, Field(description="Of one that an approver refused")]
    decidable: Annotated[bool, Field(description="Here; else in the CLM")]
    authors: Annotated[list[str], Field(description="They corrected the contract, so they may not approve it")]
    who: Annotated[str, Field(description="Who may decide, in words")]


class ApprovalDecision(Body):
    approve: Annotated[bool, Field(description="false refuses")]
    reason: Reason


class ApprovalDecidedView(View):
    exception_id: ExceptionId
    approved: bool
    rule: str
    money: MoneyView
    event_id: str
    correlation_id: str


@routes.get("/approvals", response_model=PageOf[ApprovalView], summary="What waits for an approval, oldest first")
def list_approvals(
    call: Reading,
    page: Annotated[Paging, Depends(paging)],
    status: Annotated[
        ApprovalStatus, Query(description="waiting; refused by an approver, until its data changes; or in_clm")
    ] = ApprovalStatus.WAITING,
) -> Response:
    found = call.reads.approvals(status=status, window=page.window)
    call.showed(row.case.contract_id for row in found.rows)
    return page.answer(found, ApprovalView)


@routes.post(
    "/approvals/{exception_id}/decide",
    response_model=ApprovalDecidedView,
    responses=problems(*EDITING),
    summary="Approve or refuse",
)
def decide(
    call: Deciding,
    exception_id: Id,
    version: Annotated[int | None, Depends(read_version)],
    body: ApprovalDecision,
    key: Annotated[Once | None, Depends(once)],
) -> Response:
    return done(
        call.carry_out(
            key, lambda act: approvals.decide(act, exception_id, body.approve, body.reason, version=version), _view
        )
    )


def _view(made: ApprovalDecided) -> ApprovalDecidedView:
    return ApprovalDecidedView(
        exception_id=made.case_id,
        approved=made.approved,
        rule=made.rule,
        money=MoneyView.model_validate(Money(made.amount, made.currency)),
        event_id=made.event_id,
        correlation_id=made.correlation_id,
    )
