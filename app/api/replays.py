"""Replays as they are read: what is stuck, the list, one with its totals, its items, one item's plan."""

from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Query, Response

from app.api.answers import PageOf, Paging, answer, paging
from app.api.calling import Call, calling
from app.api.inputs import Id, Text
from app.api.replay_views import ItemDetailView, ItemView, ReplayDetailView, ReplayView, StuckView
from app.api.routing import problems, resource
from sync_core.authority import Permission
from sync_core.commands.desk import NotFound
from sync_core.errors import ErrorClass, Function
from sync_core.journal.progress import State
from sync_core.reads.replay_items import ItemFilter, ItemSort
from sync_core.reads.replays import ReplayDetail
from sync_core.reads.stuck import StuckSort
from sync_core.replay.replay import Eligibility, ItemState, PreviewState, Skip
from sync_core.replay.selection import StuckFilter

routes = resource("replays")
Reading = Annotated[Call, Depends(calling(Permission.REPLAY_READ))]
Page = Annotated[Paging, Depends(paging)]


async def stuck_filter(
    function: Annotated[Function | None, Query()] = None,
    cause: Text = "",
    error_class: Annotated[ErrorClass | None, Query()] = None,
    legal_entity: Text = "",
    lane: Text = "",
    state: Annotated[list[State] | None, Query(description="Several may be given")] = None,
    customer: Text = "",
    min_money: Annotated[Decimal | None, Query(ge=0, max_digits=24, decimal_places=6)] = None,
    tests: bool = False,
) -> StuckFilter:
    return StuckFilter(
        function=function or "", cause=cause, error_class=error_class or "", legal_entity=legal_entity, lane=lane,
        states=tuple(state or ()), customer=customer, min_money=min_money, tests=tests,
    )  # fmt: skip


async def item_filter(
    state: Annotated[list[ItemState] | None, Query(description="Several may be given")] = None,
    eligibility: Annotated[Eligibility | None, Query()] = None,
    preview: Annotated[PreviewState | None, Query()] = None,
    skip: Annotated[Skip | None, Query()] = None,
    legal_entity: Text = "",
    writes: Annotated[bool | None, Query(description="Whether its plan changes anything in the ERP")] = None,
    stopped: Annotated[bool | None, Query(description="Whether its preview found what stops it")] = None,
) -> ItemFilter:
    return ItemFilter(tuple(state or ()), eligibility, preview, skip, legal_entity, writes, stopped)


@routes.get("/stuck", response_model=PageOf[StuckView], summary="Contracts that do not get on")
def list_stuck(
    call: Reading,
    page: Page,
    wanted: Annotated[StuckFilter, Depends(stuck_filter)],
    sort: Annotated[StuckSort, Query(description="Rows without the value come last")] = StuckSort.MONEY,
) -> Response:
    """What a replay can be made of with the same filter."""
    found = call.reads.stuck(wanted, sort=sort, window=page.window)
    call.showed(row.contract_id for row in found.rows)
    return page.answer(found, StuckView)


@routes.get("/replays", response_model=PageOf[ReplayView], summary="List replays, newest first")
def list_replays(call: Reading, page: Page) -> Response:
    found = call.reads.replays(window=page.window)
    call.showed(())
    return page.answer(found, ReplayView)


@routes.get(
    "/replays/{replay_id}",
    response_model=ReplayDetailView,
    responses=problems(404),
    summary="One replay with its totals; its ETag is what a change of it names in If-Match",
)
def one_replay(call: Reading, replay_id: Id) -> Response:
    found = _found(call, replay_id)
    return answer(ReplayDetailView.model_validate(found), version=found.replay.version)


@routes.get(
    "/replays/{replay_id}/items",
    response_model=PageOf[ItemView],
    responses=problems(404),
    summary="Its contracts: what went wrong first once it is over, else in the order of their dispatch",
)
def list_items(
    call: Reading,
    replay_id: Id,
    page: Page,
    wanted: Annotated[ItemFilter, Depends(item_filter)],
    sort: Annotated[ItemSort | None, Query(description="Keep it over the pages of a replay that goes on")] = None,
) -> Response:
    found = call.reads.replay_items(replay_id, wanted, sort=sort, window=page.window)
    if not found.total:
        _found(call, replay_id)
    call.showed(row.contract_id for row in found.rows)
    return page.answer(found, ItemView)


@routes.get(
    "/replays/{replay_id}/items/{contract_id}",
    response_model=ItemDetailView,
    responses=problems(404),
    summary="What replaying one contract does, field by field",
)
def one_item(call: Reading, replay_id: Id, contract_id: Id) -> Response:
    found = call.reads.replay_item(replay_id, contract_id)
    if found is None:
        raise NotFound(f"there is no contract {contract_id} in replay {replay_id} within your reach")
    row, subject = found.row, f"replay {replay_id}"
    call.showed_one("replay.read_item", subject, contract_id=contract_id, legal_entity=row.legal_entity)
    return answer(ItemDetailView.model_validate(found))


def _found(call: Call, replay_id: int) -> ReplayDetail:
    found = call.reads.replay(replay_id)
    if found is None:
        raise NotFound(f"there is no replay {replay_id}, or nothing in it is within your reach")
    return found
