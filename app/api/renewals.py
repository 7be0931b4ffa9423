"""Renewals: what is to be renewed and by when, what comes by itself, what was declined."""

from datetime import date
from typing import Annotated

from fastapi import Depends, Query, Response
from pydantic import Field

from app.api.answers import Converted, MoneyView, PageOf, Paging, View, paging
from app.api.calling import Call, calling
from app.api.inputs import Text
from app.api.routing import resource
from sync_core.authority import Permission
from sync_core.journal.progress import State
from sync_core.life.life_row import RenewalState
from sync_core.reads.renewals import MOST_DAYS, RenewalFilter

routes = resource("renewals")
Reading = Annotated[Call, Depends(calling(Permission.CONTRACTS_READ))]


class RenewalView(View):
    """One contract that is to be renewed, or whose renewal was declined."""

    contract_id: int
    source: Annotated[str, Field(description="The CLM, as the CloudEvents source")]
    external_id: Annotated[str, Field(description="Its id in the CLM")]
    title: str
    customer_name: str
    legal_entity: str
    renewal: Annotated[RenewalState, Field(description="What becomes of it")]
    due_on: Annotated[date, Field(description="The notice date, else the renewal; of a declined one the last day")]
    passed: Annotated[bool, Field(description="That day has passed: the renewal can no longer be declined in time")]
    notice_by: date | None
    renews_on: date | None
    state: State
    value: MoneyView | None
    value_reporting: Annotated[Converted | None, Field(description="null: no exchange rate")]
    alerted: Annotated[int | None, Field(description="The nearest alert that was sent, in days before the notice date")]


@routes.get(
    "/renewals",
    response_model=PageOf[RenewalView],
    summary="List renewals that are near: the nearest first, what has passed last",
)
def list_renewals(
    call: Reading,
    page: Annotated[Paging, Depends(paging)],
    days: Annotated[int, Query(ge=0, le=MOST_DAYS, description="Due within so many days of today")] = 90,
    legal_entity: Text = "",
    renewal: Annotated[list[RenewalState] | None, Query(description="Several may be given")] = None,
    tests: Annotated[bool, Query(description="Trial contracts too")] = False,
) -> Response:
    wanted = RenewalFilter(days, legal_entity, tuple(renewal or ()), tests)
    found = call.reads.renewals(wanted, window=page.window)
    call.showed(row.contract_id for row in found.rows)
    return page.answer(found, RenewalView)
