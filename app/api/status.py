"""How the engine runs, within the caller's reach."""

from typing import Annotated

from fastapi import Depends, Response
from pydantic import AliasChoices, Field

from app.api.answers import Moment, MoneyTotalView, View, answer
from app.api.calling import Call, calling
from app.api.routing import resource
from sync_core.authority import Permission
from sync_core.journal.progress import State

routes = resource("status")
Reading = Annotated[Call, Depends(calling(Permission.CONTRACTS_READ))]


class LaneView(View):
    """The way to one ERP."""

    lane: str
    breaker: Annotated[str, Field(description="closed, open or paused")]
    reason: str | None
    slots_used: int
    slots_total: int
    waiting: Annotated[MoneyTotalView, Field(description="Contracts that wait for their first activation")]
    observed: Annotated[int, Field(description="Contracts of which what would be done here is only looked at")]


class StatusView(View):
    """Trial contracts are counted here: it is the engine's state, not the business's."""

    now: Moment
    contracts: Annotated[dict[State, int], Field(validation_alias=AliasChoices("contracts", "by_state"))]
    oldest_waiting_age_s: float | None
    lanes: list[LaneView]
    quarantine_open: int
    workers_alive: int
    versions: dict[str, str]


@routes.get("/status", response_model=StatusView, summary="How many contracts are in which state, and what runs")
def status(call: Reading) -> Response:
    return answer(StatusView.model_validate(call.reads.status()))
