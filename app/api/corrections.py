"""Typed corrections of an exception's contract: looked at first, then stored as an event with its author."""

from typing import Annotated

from fastapi import Depends, Response
from pydantic import Field, JsonValue

from app.api.answers import View, answer, done
from app.api.calling import Call, calling
from app.api.conditions import once, read_version
from app.api.contracts import ChangeView
from app.api.exception_views import ExceptionId
from app.api.inputs import Body, Id, Reason
from app.api.routing import CHANGING, EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import amendments, corrections
from sync_core.commands.desk import Once
from sync_core.errors import ErrorClass

routes = resource("exceptions")
Correcting = Annotated[Call, Depends(calling(Permission.CORRECTIONS_WRITE))]
Verdict = Annotated[str, Field(description="What was checked and what only the ERP can tell, in words")]
Unseen = Annotated[list[str], Field(description="Codes among the new values that the ERP is not known to have")]


class Values(Body):
    values: Annotated[
        dict[str, JsonValue],
        Field(description="By the JSON Schema of GET /v1/exceptions/{id}/correction", examples=[{"po_number": "PO-7"}]),
    ]


class Correction(Values):
    reason: Reason


class FindingView(View):
    """What the contract's checks would still find."""

    error_class: ErrorClass
    cause: str
    function: str
    message: str


class CorrectionPreviewView(View):
    """The contract before and after; nothing was changed."""

    exception_id: ExceptionId
    version: int
    changes: list[ChangeView]
    remaining: list[FindingView]
    mends: Annotated[bool | None, Field(description="null: only the ERP can tell")]
    verdict: Verdict
    unseen: Unseen


class CorrectionSubmittedView(View):
    """The exception closes once a run no longer finds its cause."""

    exception_id: ExceptionId
    event_id: str
    correlation_id: str
    changes: list[ChangeView]
    remaining: list[FindingView]
    verdict: Verdict
    unseen: Unseen


@routes.post(
    "/exceptions/{exception_id}/correction/preview",
    response_model=CorrectionPreviewView,
    responses=problems(*CHANGING, 404),
    summary="See what a correction would change; nothing is stored",
)
def preview(call: Correcting, exception_id: Id, body: Values) -> Response:
    made = call.api.commands.corrections.preview(call.actor, exception_id, body.values)
    call.showed_one("correction.preview", f"exception {exception_id}")
    return answer(CorrectionPreviewView.model_validate(made), version=made.version)


class Acceptance(Body):
    reason: Reason


class SilentAcceptedView(View):
    """What was published is agreed from now on."""

    exception_id: ExceptionId
    event_id: str
    correlation_id: str
    changes: list[ChangeView]


@routes.post(
    "/exceptions/{exception_id}/accept",
    response_model=SilentAcceptedView,
    responses=problems(*EDITING),
    summary="Accept a silent change: what the CLM published becomes the agreed terms",
)
def accept(
    call: Correcting,
    exception_id: Id,
    version: Annotated[int | None, Depends(read_version)],
    body: Acceptance,
    key: Annotated[Once | None, Depends(once)],
) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: amendments.accept(act, exception_id, body.reason, version=version),
            SilentAcceptedView.model_validate,
        )
    )


@routes.post(
    "/exceptions/{exception_id}/correction",
    response_model=CorrectionSubmittedView,
    responses=problems(*EDITING),
    summary="Correct the contract",
)
def submit(
    call: Correcting,
    exception_id: Id,
    version: Annotated[int | None, Depends(read_version)],
    body: Correction,
    key: Annotated[Once | None, Depends(once)],
) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: corrections.submit(act, exception_id, body.values, body.reason, version=version),
            CorrectionSubmittedView.model_validate,
        )
    )
