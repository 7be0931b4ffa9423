"""Amendments of a contract: the terms and the schedule before and after each."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import Response
from pydantic import Field

from app.api.answers import Amount, Moment, Seconds, View, answer
from app.api.contracts import ChangeView, Reading
from app.api.exception_views import DifferenceView
from app.api.inputs import Id
from app.api.routing import problems, resource
from sync_core.commands.desk import NotFound
from sync_core.life.amendments import Comparison, Row, Schedule
from sync_core.money import padded
from sync_core.reads.amendments import AmendmentHistory, AmendmentRow

routes = resource("contracts")


class ScheduleRowView(View):
    """A milestone, or a line of a contract that bills by time. null: it is not there on that side."""

    key: str
    name: str
    fate: Annotated[str, Field(examples=["unchanged", "added", "removed", "moved", "changed"])]
    before: Amount | None
    after: Amount | None
    due_before: date | None
    due_after: date | None
    invoiced: Annotated[Amount | None, Field(description="As the ERP was last read; null: nothing yet")]
    invoiced_currency: Annotated[str, Field(description="Of what is invoiced; another one: it is to be billed anew")]
    to_invoice: Amount
    difference: Annotated[Amount, Field(description="To bill besides, or to credit if below zero")]


class ScheduleView(View):
    """The rows add up to `before` and `after`, the contract's value.

    invoiced + to_invoice + difference + uncovered is `after`; what was invoiced in another currency is in no sum.
    """

    currency: Annotated[str, Field(description="Of all amounts but those before")]
    currency_before: Annotated[str, Field(description="Of the amounts before; another one: nothing is subtracted")]
    rows: list[ScheduleRowView]
    before: Amount
    after: Amount
    invoiced: Amount
    to_invoice: Amount
    difference: Amount
    uncovered: Annotated[
        Amount, Field(description="Of the value, in no part of the schedule; below zero: the parts are more")
    ]


class AmendmentView(View):
    """`schedule` null: it waits for an amendment before it."""

    number: int
    executed_at: Moment
    effective_on: date | None
    summary: str
    signed_by: Annotated[str, Field(description="As its CLM says; empty: it does not say")]
    received_at: Moment
    synced_at: Annotated[
        Moment | None, Field(description="When the ERP was read back with it, but for `later`; null: not yet")
    ]
    lag_s: Annotated[
        Seconds | None, Field(description="From its execution to the read-back; where all of it is later, from then on")
    ]
    waits: bool
    terms: list[ChangeView]
    later: Annotated[list[ChangeView], Field(description="Of the terms, those not in the ERP before `later_from`")]
    later_from: Annotated[Moment | None, Field(description="Midnight of the legal entity; null: none of them waits")]
    delta: Annotated[Amount | None, Field(description="Of the value; null: it waits, or the currency was amended")]
    schedule: ScheduleView | None


class SilentView(View):
    """Published otherwise although no amendment says so; not applied."""

    since: Moment | None
    differences: list[DifferenceView]


class AmendmentsView(View):
    """Oldest first, in the order in which they apply."""

    contract_id: int
    external_id: str
    currency: str | None
    amendments: list[AmendmentView]
    silent: SilentView | None
    books: Annotated[ScheduleView | None, Field(description="How the contract as it stands is billed")]
    unreadable: Annotated[str, Field(description="Why some of it cannot be told; empty: all of it is")]
    more_events: bool


@routes.get(
    "/contracts/{contract_id}/amendments",
    response_model=AmendmentsView,
    responses=problems(404),
    summary="Its amendments, before and after each",
)
def amendments(call: Reading, contract_id: Id) -> Response:
    found = call.reads.amendments(contract_id)
    if found is None:
        raise NotFound(f"there is no contract {contract_id} within your reach")
    call.showed_one(
        "contract.read", f"contract {found.external_id}", contract_id=found.contract_id,
        legal_entity=found.legal_entity,
    )  # fmt: skip
    return answer(amendments_view(found))


def amendments_view(found: AmendmentHistory) -> AmendmentsView:
    terms = found.contract.terms if found.contract else None
    currency = terms.currency if terms else None
    silent = SilentView(since=found.silent_since, differences=[DifferenceView.model_validate(d) for d in found.silent])
    return AmendmentsView(
        contract_id=found.contract_id,
        external_id=found.external_id,
        currency=currency,
        amendments=[_amendment(one) for one in found.amendments],
        silent=silent if found.silent else None,
        books=_schedule(found.books, currency or "", currency or "") if found.books else None,
        unreadable=found.unreadable,
        more_events=found.more_events,
    )


def _amendment(one: AmendmentRow) -> AmendmentView:
    step = one.step
    made: Comparison | None = step.comparison
    lag: timedelta | None = one.lag
    return AmendmentView(
        number=step.number,
        executed_at=step.executed_at,
        effective_on=step.effective_on,
        summary=step.summary,
        signed_by=step.signed_by,
        received_at=one.received_at,
        synced_at=one.synced_at,
        lag_s=lag,
        waits=made is None,
        terms=[ChangeView.model_validate(change) for change in made.terms] if made else [],
        later=[ChangeView.model_validate(change) for change in one.later],
        later_from=one.later_from,
        delta=None if made is None or made.delta is None else _money(made.delta, made.currency),
        schedule=_schedule(made.schedule, made.currency, made.currency_before) if made else None,
    )


def _money(amount: Decimal, currency: str) -> Decimal:
    return Decimal(padded(amount, currency))


def _schedule(known: Schedule, currency: str, currency_before: str) -> ScheduleView:
    def money(amount: Decimal) -> Decimal:
        return _money(amount, currency)

    def row(one: Row) -> ScheduleRowView:
        return ScheduleRowView(
            key=one.key,
            name=one.name,
            fate=one.fate,
            before=None if one.before is None else _money(one.before, currency_before),
            after=None if one.after is None else money(one.after),
            due_before=one.due_before,
            due_after=one.due_after,
            invoiced=None if one.invoiced is None else _money(one.invoiced, one.invoiced_in or currency),
            invoiced_currency=one.invoiced_in or currency,
            to_invoice=money(one.to_invoice),
            difference=money(one.difference),
        )

    return ScheduleView(
        currency=currency,
        currency_before=currency_before,
        rows=[row(one) for one in known.rows],
        before=_money(known.before, currency_before),
        after=money(known.after),
        invoiced=money(known.invoiced),
        to_invoice=money(known.to_invoice),
        difference=money(known.difference),
        uncovered=money(known.uncovered),
    )
