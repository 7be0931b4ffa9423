"""Drift: where CLM, Tieline and ERP say different things of a contract; compare now, and repair by a replay."""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Query, Response
from pydantic import Field

from app.api.answers import Moment, PageOf, Paging, View, answer, done, paging
from app.api.calling import Call, calling
from app.api.conditions import surely_once
from app.api.inputs import NAMED, Body, Named, Text, Word
from app.api.replay_views import ReplayMadeView
from app.api.replay_work import made_replay
from app.api.routing import CHANGING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import drift
from sync_core.commands.desk import Act, Once
from sync_core.commands.named import contract_ids
from sync_core.errors import Function
from sync_core.reads.drift import DriftFilter, State
from sync_core.replay.replay import MOST_ITEMS
from sync_core.watch.drift import Stands

routes = resource("drift")
Reading = Annotated[Call, Depends(calling(Permission.CONTRACTS_READ))]
Working = Annotated[Call, Depends(calling(Permission.REPLAY_PREVIEW))]
SureKey = Annotated[Once, Depends(surely_once)]


class DriftView(View):
    """One difference, from when it was first seen until a comparison no longer found it."""

    drift_id: int
    contract_id: int
    external_id: str
    title: str
    legal_entity: str
    system: Annotated[str, Field(description="The ERP, or the CLM")]
    kind: Annotated[str, Field(description="Of the ERP's object; `contract` of a CLM")]
    business_key: str
    field: Annotated[str, Field(description="Empty: the whole object is there, or is not")]
    ours: Annotated[str | None, Field(description="What the contract says; null: nothing of it should be there")]
    theirs: Annotated[str | None, Field(description="What the system holds; null: nothing")]
    stands: Annotated[
        Stands, Field(description="ours: a replay repairs it; owner: an exception asks; allowed: it stands")
    ]
    function: Function | None
    words: str
    first_seen_at: Moment
    last_seen_at: Moment
    closed_at: Moment | None
    currency: Annotated[str | None, Field(description="The contract's, of amounts; null: not known")]


class WatchView(View):
    """How the watch goes, over the contracts within reach."""

    watched: int
    never: Annotated[int, Field(description="Not compared yet")]
    unread: Annotated[int, Field(description="Their last comparison could not read all")]
    oldest_at: Annotated[Moment | None, Field(description="Of the oldest comparison")]
    newest_at: Moment | None
    asked: Annotated[int, Field(description="Wait to be compared, because somebody asked")]
    held_up: Annotated[int, Field(description="Of these: something is being done for them, or they wait for people")]
    ours: Annotated[int, Field(description="Open differences that a repair would mend")]
    owners: Annotated[int, Field(description="Open differences that their owner decides")]
    allowed: int
    repairable: Annotated[int, Field(description="Contracts with open differences of ours in an ERP")]


class Chosen(Body):
    """All within reach, unless narrowed."""

    contracts: Annotated[list[Named] | None, Field(min_length=1, max_length=MOST_ITEMS, description=NAMED)] = None
    legal_entity: Word = ""


class ComparisonAskedView(View):
    contracts: int


async def drift_filter(
    state: Annotated[State, Query()] = "open",
    stands: Annotated[Stands | None, Query()] = None,
    legal_entity: Text = "",
    system: Text = "",
    contract_id: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
) -> DriftFilter:
    return DriftFilter(state, stands, legal_entity, system, () if contract_id is None else (contract_id,))


@routes.get("/drift", response_model=PageOf[DriftView], summary="List differences, newest first")
def list_drift(
    call: Reading, page: Annotated[Paging, Depends(paging)], wanted: Annotated[DriftFilter, Depends(drift_filter)]
) -> Response:
    found = call.reads.drift(wanted, window=page.window)
    call.showed(row.contract_id for row in found.rows)
    return page.answer(found, DriftView)


@routes.get("/drift/watch", response_model=WatchView, summary="How the watch for differences goes")
def watch(call: Reading) -> Response:
    return answer(WatchView.model_validate(call.reads.drift_watch()))


@routes.post(
    "/drift/compare",
    response_model=ComparisonAskedView,
    status_code=HTTPStatus.ACCEPTED,
    responses=problems(*CHANGING, 404),
    summary="Compare contracts with their CLM and ERP now",
)
def compare(call: Working, body: Chosen, key: SureKey) -> Response:
    asked = call.carry_out(
        key, lambda act: drift.compare(act, _ids(act, body), entity=body.legal_entity),
        ComparisonAskedView.model_validate,
    )  # fmt: skip
    return done(asked, status=HTTPStatus.ACCEPTED)


@routes.post(
    "/drift/repair",
    response_model=ReplayMadeView,
    status_code=HTTPStatus.CREATED,
    responses=problems(*CHANGING, 404),
    summary="Make a replay that repairs what is ours: it is previewed, and carried out once confirmed",
)
def repair(call: Working, body: Chosen, key: SureKey) -> Response:
    return made_replay(call, key, lambda act: drift.repair(act, _ids(act, body), entity=body.legal_entity))


def _ids(act: Act, body: Chosen) -> list[int] | None:
    return None if body.contracts is None else contract_ids(act, body.contracts, Permission.REPLAY_PREVIEW)
