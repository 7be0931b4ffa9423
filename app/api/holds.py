"""Legal holds: contracts whose records retention leaves alone."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Query, Response
from pydantic import Field

from app.api.answers import Moment, PageOf, Paging, View, done, paging
from app.api.calling import Call, calling
from app.api.conditions import surely_once
from app.api.inputs import MOST_ID, NAMED, Body, Named, Number, Reason
from app.api.routing import CHANGING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import holds
from sync_core.commands.desk import Act, Once
from sync_core.commands.named import contract_ids
from sync_core.reads.holds import HoldFilter

routes = resource("holds")
Reading = Annotated[Call, Depends(calling(Permission.CONTRACTS_READ))]
Writing = Annotated[Call, Depends(calling(Permission.HOLDS_WRITE))]
SureKey = Annotated[Once, Depends(surely_once)]


class HoldView(View):
    """In force while `released_at` is null."""

    hold_id: int
    contract_id: int
    external_id: str
    title: str
    legal_entity: str
    reason: str
    placed_by: str
    placed_at: Moment
    released_by: str | None
    released_at: Moment | None


class NewHolds(Body):
    contract_ids: Annotated[list[Named], Field(min_length=1, max_length=holds.MOST, description=NAMED)]
    reason: Reason


class EndOfHolds(Body):
    hold_ids: Annotated[list[Number], Field(min_length=1, max_length=holds.MOST)]
    reason: Reason


class PlacedView(View):
    hold_ids: list[int]
    held_before: Annotated[list[int], Field(description="Contracts that were under a hold already")]


class ReleasedView(View):
    hold_ids: list[int]


@routes.get("/holds", response_model=PageOf[HoldView], summary="List legal holds, newest first")
def list_holds(
    call: Reading,
    page: Annotated[Paging, Depends(paging)],
    contract_id: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    released: Annotated[bool, Query(description="Those that are over, too")] = False,
) -> Response:
    found = call.reads.holds(HoldFilter(contract_id, released), window=page.window)
    call.showed(row.contract_id for row in found.rows)
    return page.answer(found, HoldView)


@routes.post(
    "/holds",
    response_model=PlacedView,
    status_code=HTTPStatus.CREATED,
    responses=problems(*CHANGING, 404),
    summary="Put contracts under a hold: all or none",
)
def place(call: Writing, body: NewHolds, key: SureKey) -> Response:
    def work(act: Act) -> holds.Placed:
        return holds.place(act, contract_ids(act, body.contract_ids, Permission.HOLDS_WRITE), body.reason)

    placed = call.carry_out(key, work, PlacedView.model_validate)
    return done(placed, status=HTTPStatus.CREATED)


@routes.post(
    "/holds/release",
    response_model=ReleasedView,
    responses=problems(*CHANGING, 404),
    summary="End holds: all or none",
)
def release(call: Writing, body: EndOfHolds, key: SureKey) -> Response:
    return done(
        call.carry_out(key, lambda act: holds.release(act, body.hold_ids, body.reason), ReleasedView.model_validate)
    )
