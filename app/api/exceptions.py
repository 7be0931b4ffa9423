"""Exceptions as they are read: the list, those alike, and one with its history and the form that mends it."""

from typing import Annotated, Final

from fastapi import Depends, Query, Response

from app.api.answers import FirstOf, PageOf, Paging, answer, paging
from app.api.calling import Call, calling
from app.api.exception_views import (
    ActionView,
    CorrectionFormView,
    DifferenceView,
    ExceptionDetailView,
    ExceptionView,
    FollowedView,
    GroupView,
    HistoryView,
    RefusedByView,
    exception_filter,
)
from app.api.inputs import Id
from app.api.routing import problems, resource
from sync_core.authority import Permission
from sync_core.commands.desk import CommandRefused, NotFound
from sync_core.reads.case import CaseAction, CaseDetail
from sync_core.reads.exceptions import ExceptionFilter, ExceptionSort

routes = resource("exceptions")
Reading = Annotated[Call, Depends(calling(Permission.EXCEPTIONS_READ))]
_MOST_GROUPS: Final = 500
Filter = Annotated[ExceptionFilter, Depends(exception_filter)]


@routes.get("/exceptions", response_model=PageOf[ExceptionView], summary="List exceptions")
def list_exceptions(
    call: Reading,
    page: Annotated[Paging, Depends(paging)],
    wanted: Filter,
    sort: Annotated[ExceptionSort, Query(description="Rows without the value come last")] = ExceptionSort.MONEY,
) -> Response:
    found = call.reads.exceptions(wanted, sort=sort, window=page.window)
    call.showed(row.contract_id for row in found.rows)
    return page.answer(found, ExceptionView)


@routes.get("/exceptions/groups", response_model=FirstOf[GroupView], summary="Exceptions that are alike")
def groups(call: Reading, wanted: Filter) -> Response:
    """Most money first; 500 groups at most, of `total`."""
    found = call.reads.case_groups(wanted)
    first = [GroupView.model_validate(one) for one in found[:_MOST_GROUPS]]
    return answer(FirstOf[GroupView](items=first, total=len(found)))


@routes.get(
    "/exceptions/{exception_id}",
    response_model=ExceptionDetailView,
    responses=problems(404),
    summary="One exception; its ETag is what a change of it names in If-Match",
)
def one_exception(call: Reading, exception_id: Id) -> Response:
    found = _found(call, exception_id)
    view = ExceptionDetailView(
        exception=ExceptionView.model_validate(found.row),
        source=found.source,
        history=[HistoryView.model_validate(moment) for moment in found.history],
        actions=[_action(one, call) for one in found.actions],
        open_for_s=found.open_for,
        follows=FollowedView.model_validate(found.follows) if found.follows else None,
        followed_by=found.followed_by,
        refused=RefusedByView.model_validate(found.refused) if found.refused else None,
        differences=[DifferenceView.model_validate(one) for one in found.differences],
    )
    return answer(view, version=found.row.version)


@routes.get(
    "/exceptions/{exception_id}/correction",
    response_model=CorrectionFormView,
    responses=problems(404, 409),
    summary="The form that corrects its contract: values, and their JSON Schema",
)
def correction_form(call: Reading, exception_id: Id) -> Response:
    found = _found(call, exception_id)
    if found.form is None:
        raise CommandRefused(f"the events of exception {exception_id}'s contract cannot be read, so none is corrected")
    return answer(CorrectionFormView.model_validate(found.form), version=found.row.version)


def _action(one: CaseAction, call: Call) -> ActionView:
    refused = one.refusal(call.actor)
    return ActionView(name=one.name, allowed=refused is None, why=refused.words if refused else "")


def _found(call: Call, exception_id: int) -> CaseDetail:
    found = call.reads.case(exception_id)
    if found is None:
        raise NotFound(f"there is no exception {exception_id} within your reach")
    row = found.row
    call.showed_one(
        "exception.read", f"exception {exception_id}", contract_id=row.contract_id, legal_entity=row.legal_entity
    )
    return found
