"""Quarantine: events that were not understood, tried again or dismissed."""

from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Query, Response
from pydantic import Field

from app.api.answers import Moment, PageOf, Paging, View, answer, done, paging
from app.api.calling import Call, calling
from app.api.conditions import surely_once
from app.api.inputs import NO_NUL, Body, Id, Number, Reason, Text
from app.api.routing import CHANGING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import quarantine
from sync_core.commands.desk import NotFound, Once
from sync_core.reads.quarantine import QuarantineFilter

routes = resource("quarantine")
Reading = Annotated[Call, Depends(calling(Permission.EXCEPTIONS_READ))]
Writing = Annotated[Call, Depends(calling(Permission.QUARANTINE_WRITE))]
SureKey = Annotated[Once, Depends(surely_once)]


class QuarantinedView(View):
    """`body` is plain text: bytes that are no UTF-8 and control characters stand as U+FFFD."""

    quarantine_id: int
    source: str
    event_id: str
    type: str
    external_id: str | None
    legal_entity: str
    state: Literal["waiting", "released", "dismissed"]
    reason: str
    signature: Annotated[bool, Field(description="It may carry executed terms")]
    received_by: str
    correlation_id: str
    occurred_at: Moment
    recorded_at: Moment
    released_at: Moment | None
    dismissed_at: Moment | None
    dismissed_by: str | None
    dismissed_reason: str | None
    body: str
    size: Annotated[int, Field(description="Bytes of the whole")]
    cut: bool


class Events(Body):
    quarantine_ids: Annotated[list[Number], Field(min_length=1, max_length=quarantine.MOST)]


class Release(Events):
    reason: Annotated[str, Field(max_length=2_000, pattern=NO_NUL)] = ""


class Dismissal(Events):
    reason: Reason


class HeldView(View):
    """One that stays where it is."""

    quarantine_id: int
    words: str


class QuarantineChangedView(View):
    changed: list[int]
    held: list[HeldView]


_CHANGED: Final[dict[str, Any]] = {"response_model": QuarantineChangedView, "responses": problems(*CHANGING, 404)}


@routes.get("/quarantine", response_model=PageOf[QuarantinedView], summary="List events in quarantine, oldest first")
def list_quarantine(
    call: Reading,
    page: Annotated[Paging, Depends(paging)],
    state: Annotated[Literal["waiting", "released", "dismissed", "all"], Query()] = "waiting",
    source: Text = "",
    signature: Annotated[bool | None, Query()] = None,
) -> Response:
    """2,000 bytes of each body. Events of contracts that are not known are for programs without a limit."""
    wanted = QuarantineFilter("" if state == "all" else state, source, signature)
    found = call.reads.quarantine(wanted, window=page.window)
    call.showed(())
    return page.answer(found, QuarantinedView)


@routes.get(
    "/quarantine/{quarantine_id}",
    response_model=QuarantinedView,
    responses=problems(404),
    summary="One event, with 200,000 bytes of its body",
)
def one_event(call: Reading, quarantine_id: Id) -> Response:
    found = call.reads.quarantined(quarantine_id)
    if found is None:
        raise NotFound(f"there is no quarantined event {quarantine_id} within your reach")
    call.showed_one("quarantine.read", f"quarantined event {quarantine_id}", legal_entity=found.legal_entity)
    return answer(QuarantinedView.model_validate(found))


@routes.post("/quarantine/release", **_CHANGED, summary="Try events again now")
def release(call: Writing, body: Release, key: SureKey) -> Response:
    """Those that are still not understood stay, each with its reason."""
    return done(
        call.carry_out(
            key,
            lambda act: quarantine.release(act, body.quarantine_ids, reason=body.reason),
            QuarantineChangedView.model_validate,
        )
    )


@routes.post("/quarantine/dismiss", **_CHANGED, summary="Never try these events again")
def dismiss(call: Writing, body: Dismissal, key: SureKey) -> Response:
    """They are kept whole all the same."""
    return done(
        call.carry_out(
            key,
            lambda act: quarantine.dismiss(act, body.quarantine_ids, body.reason),
            QuarantineChangedView.model_validate,
        )
    )
