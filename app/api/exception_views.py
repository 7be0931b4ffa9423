"""How the API tells of exceptions, and what it asks filters for."""

from datetime import date
from typing import Annotated, Literal

from fastapi import Query
from pydantic import AliasChoices, AwareDatetime, Field, JsonValue

from app.api.answers import Amount, Converted, Moment, MoneyTotalView, MoneyView, Seconds, View
from app.api.inputs import Text
from sync_core.errors import ErrorClass, Function
from sync_core.reads.exceptions import ExceptionFilter

# Inside they are called cases, as an exception is Python's there.
ExceptionId = Annotated[int, Field(validation_alias=AliasChoices("exception_id", "case_id"))]


class ExceptionView(View):
    """One exception; its contract beside it."""

    exception_id: ExceptionId
    contract_id: int
    external_id: Annotated[str, Field(description="The contract's id in its CLM")]
    title: str
    customer_name: str
    legal_entity: str
    cause: str
    error_class: ErrorClass
    function: Annotated[str, Field(description="The business function that has it")]
    severity: str
    message: str
    exposure: Annotated[MoneyView | None, Field(description="Money held up")]
    exposure_reporting: Converted | None
    bill_on: date | None
    state: str
    occurrences: int
    opened_at: Moment
    first_opened_at: Annotated[Moment | None, Field(description="If it was closed and opened again since")]
    seen_at: Moment
    due_at: Moment | None
    resolved_at: Annotated[Moment | None, Field(description="When it was closed; `closed_how` says by what")]
    operation: str
    group_key: Annotated[str, Field(description="`group` of the filter that lists those alike")]
    assignee: str | None
    acknowledged_at: Moment | None
    acknowledged_by: str | None
    closed_how: Annotated[str | None, Field(description="read_back, checked (its check passes now) or decision")]
    decided_by: str | None
    decided_reason: str | None
    version: int


class HistoryView(View):
    """One thing that happened to it; `note` is plain text by whoever wrote it."""

    what: str
    function: str
    from_function: str | None
    assignee: str | None
    actor: str
    note: str
    occurred_at: Moment


class ActionView(View):
    """Whether the caller may do this now."""

    name: Annotated[str, Field(examples=["cases.assign"])]
    allowed: bool
    why: Annotated[str, Field(description="Why not")]


class FollowedView(View):
    """The correction after which this exception was found."""

    exception_id: ExceptionId
    cause: str
    actor: str
    reason: str
    occurred_at: Moment


class RefusedByView(View):
    """How an approver refused the contract; it stays refused until its data changes."""

    by: str
    reason: str
    at: Moment


class DifferenceView(View):
    """One thing on which two sides do not agree."""

    kind: Annotated[str, Field(examples=["credit", "re-bill", "withdraw", "changed"])]
    what: Annotated[str, Field(examples=["milestone design", "value"])]
    held: Annotated[str | None, Field(description="What was invoiced, or agreed")]
    wanted: Annotated[str | None, Field(description="What the contract says, or was published; null: nothing of it")]
    amount: Annotated[Amount, Field(description="wanted - held, in the contract's currency; 0 where it is no money")]


class ExceptionDetailView(View):
    """History oldest first."""

    exception: ExceptionView
    source: str
    history: list[HistoryView]
    actions: list[ActionView]
    open_for_s: Annotated[Seconds, Field(description="All intervals in which it was open, in seconds of the calendar")]
    follows: Annotated[FollowedView | None, Field(description="Of the same fields, for another exception")]
    followed_by: Annotated[int | None, Field(description="The exception found after this one was corrected")]
    refused: RefusedByView | None
    differences: Annotated[list[DifferenceView], Field(description="Invoiced and agreed, or agreed and published")]


class GroupView(View):
    """Exceptions that one person can mend in one go."""

    group_key: str
    cause: str
    error_class: ErrorClass
    function: str
    operation: str
    legal_entity: str
    exposure: Annotated[
        MoneyTotalView,
        Field(
            description="Its count is that of exceptions, its money that of their contracts, which others may have too"
        ),
    ]
    oldest: Moment
    overdue: int
    unassigned: int
    example_id: int
    example: str


class FormFieldView(View):
    path: str
    label: str
    owner: Annotated[str, Field(description="The system that owns the field")]


KnownCodes = Annotated[
    dict[str, list[str]],
    Field(
        description="By path: codes that the ERP held for this legal entity before; others may be right all the same"
    ),
]


class CorrectionFormView(View):
    """What can be corrected here; `values` as the contract stands, to be sent back changed."""

    cause: str
    function: str
    correctable: bool
    where: Annotated[str, Field(description="Where it is mended, in words")]
    fields: list[FormFieldView]
    values: dict[str, JsonValue]
    known: KnownCodes
    json_schema: Annotated[
        dict[str, JsonValue], Field(validation_alias=AliasChoices("json_schema", "schema"), description="Of `values`")
    ]


async def exception_filter(
    function: Annotated[Function | None, Query()] = None,
    cause: Text = "",
    error_class: Annotated[ErrorClass | None, Query()] = None,
    severity: Text = "",
    legal_entity: Text = "",
    state: Annotated[Literal["open", "resolved", "decided", "closed", "all"], Query()] = "open",
    tests: Annotated[bool, Query(description="Those of trial contracts too")] = False,
    assignee: Text = "",
    unassigned: bool = False,
    acknowledged: Annotated[bool | None, Query()] = None,
    group: Annotated[Text, Query(description="A `group_key`")] = "",
    due_before: Annotated[AwareDatetime | None, Query()] = None,
    text: Annotated[Text, Query(description="In the contract's id, title, customer or project, any case")] = "",
) -> ExceptionFilter:
    """A dependency of lists of exceptions."""
    return ExceptionFilter(
        function=function or "", cause=cause, error_class=error_class or "", severity=severity,
        legal_entity=legal_entity, state=state, tests=tests, assignee=assignee, unassigned=unassigned,
        acknowledged=acknowledged, group=group, due_before=due_before, text=text,
    )  # fmt: skip
