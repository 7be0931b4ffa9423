"""Moves of contracts from one ERP to another: made, taken back, reconciled. All else is of replays, which they are."""

from typing import Annotated

from fastapi import Depends, Response
from pydantic import ConfigDict, Field, model_validator

from app.api.answers import Moment, MoneyView, PageOf, Paging, View, answer, paging
from app.api.calling import Call, calling
from app.api.conditions import once
from app.api.inputs import NAMED, Body, Id, Named, Word
from app.api.replay_views import ReplayView
from app.api.replay_work import MADE, made_replay
from app.api.routing import CHANGING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import moves
from sync_core.commands.desk import Act, NotFound, Once
from sync_core.commands.moves import LONGEST_TITLE, Leaving
from sync_core.commands.named import contract_ids
from sync_core.commands.replays import ReplayMade
from sync_core.reads.moves import Stands, Why
from sync_core.replay.replay import MOST_ITEMS, ItemState

routes = resource("moves")
Reading = Annotated[Call, Depends(calling(Permission.REPLAY_READ))]
Previewing = Annotated[Call, Depends(calling(Permission.REPLAY_PREVIEW))]
Page = Annotated[Paging, Depends(paging)]
Key = Annotated[Once | None, Depends(once)]


class NewMove(Body):
    """Contracts by hand, or all of the ERP that meet the rest."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"move_from": "legacy", "move_to": "cloud", "legal_entity": "MA-KW"}]}
    )

    move_from: Annotated[Word, Field(min_length=1, description="The ERP that they leave")]
    move_to: Annotated[Word, Field(min_length=1, description="The ERP that they come to")]
    contracts: Annotated[list[Named], Field(max_length=MOST_ITEMS, description=NAMED)] = Field(default_factory=list)
    legal_entity: Word = ""
    customer: Annotated[Word, Field(description="Its code")] = ""
    title: Annotated[Word, Field(max_length=LONGEST_TITLE)] = ""

    @model_validator(mode="after")
    def _one(self) -> "NewMove":
        if bool(self.contracts) is bool(self.legal_entity or self.customer):
            raise ValueError("give contracts, or else a legal entity or a customer")
        return self


class SumsView(View):
    """signed = billed_old + to_bill_old + billed_new + to_bill_new + difference"""

    signed: MoneyView
    billed_old: MoneyView
    to_bill_old: MoneyView
    billed_new: MoneyView
    to_bill_new: MoneyView
    difference: MoneyView


class OpenPartView(View):
    """The differences of one kind."""

    why: Annotated[
        Why,
        Field(description="ended: not billed any more; between: on its way; nowhere: no project in either ERP; other: "
              "the ERPs and the contract do not agree"),
    ]  # fmt: skip
    contracts: int
    amount: MoneyView


class ReconciledTotalView(View):
    contracts: int
    differing: Annotated[int, Field(description="Contracts whose difference is not nothing")]
    sums: SumsView
    parts: Annotated[list[OpenPartView], Field(description="They add up to the difference")]


class ReconciliationView(View):
    """Totals by currency."""

    move_id: int
    move_from: str
    move_to: str
    whole: Annotated[bool, Field(description="All of its contracts are within reach")]
    totals: list[ReconciledTotalView]
    read_at: Annotated[
        Moment | None, Field(description="The oldest read-back that the sums are from; null: no project was read back")
    ]


class ReconciledView(View):
    contract_id: int
    external_id: str
    title: str
    legal_entity: str
    state: ItemState
    stands: Annotated[Stands, Field(description="Where it is just now; `between`: in neither ERP, its rest is open")]
    sums: SumsView
    why: Annotated[Why | None, Field(description="Of which kind the difference is; null: there is none")]


@routes.post("/moves", **MADE, responses=problems(*CHANGING, 404), summary="Make a move: workers preview it")
def make(call: Previewing, body: NewMove, key: Key) -> Response:
    """Confirm, approve, pause and cancel it as a replay, by its number: nothing is sent to an ERP before."""

    def work(act: Act) -> ReplayMade:
        chosen = contract_ids(act, body.contracts, Permission.REPLAY_PREVIEW) if body.contracts else ()
        leaving = Leaving(tuple(chosen), body.legal_entity, body.customer)
        return moves.preview(act, leaving, move_from=body.move_from, move_to=body.move_to, title=body.title)

    return made_replay(call, key, work)


@routes.post(
    "/moves/{move_id}/undo",
    **MADE,
    responses=problems(*CHANGING, 404),
    summary="Make a move back of what is not billed in the new ERP; workers preview it",
)
def undo(call: Previewing, move_id: Id, key: Key) -> Response:
    return made_replay(call, key, lambda act: moves.undo(act, move_id))


@routes.get("/moves", response_model=PageOf[ReplayView], summary="List moves, newest first")
def list_moves(call: Reading, page: Page) -> Response:
    found = call.reads.replays(moves=True, window=page.window)
    call.showed(())
    return page.answer(found, ReplayView)


@routes.get(
    "/moves/{move_id}/reconciliation",
    response_model=ReconciliationView,
    responses=problems(404),
    summary="Signed, billed and to be billed in both ERPs, currency by currency",
)
def reconciliation(call: Reading, move_id: Id) -> Response:
    found = call.reads.reconciliation(move_id)
    if found is None:
        raise NotFound(f"there is no move {move_id}, or nothing in it is within your reach")
    call.showed(())
    return answer(ReconciliationView.model_validate(found))


@routes.get(
    "/moves/{move_id}/reconciliation/contracts",
    response_model=PageOf[ReconciledView],
    responses=problems(404),
    summary="The same, contract by contract; what differs most first",
)
def reconciled(call: Reading, move_id: Id, page: Page) -> Response:
    found = call.reads.reconciled(move_id, window=page.window)
    if not found.total and call.reads.reconciliation(move_id) is None:
        raise NotFound(f"there is no move {move_id}, or nothing in it is within your reach")
    call.showed(row.contract_id for row in found.rows)
    return page.answer(found, ReconciledView)
