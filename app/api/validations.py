"""Validations: would these terms be provisioned? Asked by a CLM before signature, answered without asking an ERP."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Final

import orjson
import sqlalchemy as sa
from fastapi import BackgroundTasks, Depends, Request, Response
from pydantic import Field, StringConstraints, ValidationError

from app.api.answers import Moment, MoneyView, Seconds, View, answer
from app.api.calling import Call, calling
from app.api.inputs import NO_NUL, Body
from app.api.routing import problems, resource
from sync_core.authority import Permission
from sync_core.cases.approvals import Request as ApprovalRequest
from sync_core.commands.desk import InvalidInput
from sync_core.contract import Approval, ClauseStatus, Terms
from sync_core.desired import AMOUNTS, Kind, Scalar
from sync_core.errors import ErrorClass, Function
from sync_core.estate.estate import Estate
from sync_core.events import PREFIX, SchemaUnknown, Signed, admit
from sync_core.findings import Finding
from sync_core.json_exact import JsonValue, holds_nul
from sync_core.json_exact import parse as parse_exact
from sync_core.keys import ExternalId
from sync_core.money import padded
from sync_core.plan import Action, Operation
from sync_core.references import store
from sync_core.references.references import Question, What
from sync_core.references.validation import UNNAMED, Draft, Validation, mended

routes = resource("validations")
Asking = Annotated[Call, Depends(calling(Permission.VALIDATIONS_WRITE))]
MOST_PARTS: Final = 5_000  # lines, milestones and rates together
_SIGNED: Final = f"{PREFIX}signed.v1"
_log = logging.getLogger(__name__)


class ValidationRequest(Body):
    """Terms as an event has them, and what the CLM says of their approval."""

    terms: Terms
    source: Annotated[
        str | None, Field(max_length=400, pattern=NO_NUL, description="The CLM; the estate's first one if left out")
    ] = None
    contract_id: Annotated[
        str | None, Field(min_length=1, max_length=120, pattern=NO_NUL, description="Its id in the CLM, if it has one")
    ] = None
    approval: Approval = Approval.PENDING
    clauses: dict[Annotated[str, StringConstraints(max_length=200)], ClauseStatus] = Field(default_factory=dict)


class FindingView(View):
    """What an exception would say if these terms were signed now."""

    cause: str
    error_class: ErrorClass
    function: Annotated[Function, Field(description="The business function that would have the exception")]
    message: str
    mended: Annotated[str, Field(description="What to do, and where")]


class UnverifiedView(View):
    """What could not be looked for, because no worker has seen it in the ERP yet. It is being asked for."""

    what: What
    code: str
    causes: Annotated[list[str], Field(description="There may be findings of these causes, or not")]
    message: str


class ApprovalView(View):
    """The approval that Tieline would ask for after the signature."""

    rule: str
    function: Function
    from_amount: Decimal
    currency: Annotated[str, Field(description="Of `from_amount`")]
    value: MoneyView


class AsOfView(View):
    system: str
    observed_at: Annotated[Moment, Field(description="Of the oldest answer that was used")]
    age_s: Seconds


class PlannedView(View):
    """One operation of the plan against an ERP that holds nothing of this contract."""

    action: Action
    kind: Kind
    key: str
    after: dict[str, Scalar] | None


class ValidationView(View):
    """`would_provision`: no findings, and nothing is unverified."""

    would_provision: bool
    findings: list[FindingView]
    unverified: list[UnverifiedView]
    approval: ApprovalView | None
    lane: Annotated[str, Field(description="The ERP; empty: none is known for the legal entity")]
    policy: Annotated[str, Field(description="Version of the rules, as runs name it")]
    operations: Annotated[
        list[PlannedView],
        Field(description="Empty where findings of the terms stop before a plan; without what is unverified"),
    ]
    references_as_of: Annotated[list[AsOfView], Field(description="How old the master data is that was used")]


async def body_bytes(request: Request) -> bytes:
    """As it was sent: a model would have changed a number's digits."""
    return await request.body()


@routes.post(
    "/validations",
    response_model=ValidationView,
    responses=problems(400, 413),
    summary="Ask whether terms would be provisioned if they were signed now",
)
def validate(
    call: Asking,
    body: ValidationRequest,
    raw: Annotated[bytes, Depends(body_bytes)],
    later: BackgroundTasks,
) -> Response:
    draft = draft_of(raw, call.api.reads.estate)
    call.actor.require(Permission.VALIDATIONS_WRITE, entity=draft.terms.legal_entity)
    found = call.reads.validation(draft)
    if found.unverified:
        later.add_task(_ask, call, [one.question for one in found.unverified])
    made = answer(validation_view(found, draft))
    made.background = later
    return made


def draft_of(raw: bytes, estate: Estate) -> Draft:
    """Understood as intake understands a signed event. Raises InvalidInput."""
    try:
        given = parse_exact(raw)
    except ValueError as wrong:
        raise InvalidInput(f"the body cannot be read: {wrong}") from wrong
    if holds_nul(given):
        raise InvalidInput("a text holds the character U+0000; take it out")
    try:
        asked = ValidationRequest.model_validate(given)
    except ValidationError as wrong:
        raise InvalidInput(_words(wrong)) from wrong
    source = asked.source or (estate.clm[0].source if estate.clm else "")
    if source not in estate.clms:
        raise InvalidInput(f"source: {source[:100]!r} is no CLM of the estate; it has {', '.join(estate.clms)}")
    terms = _terms(given)
    if len(terms.lines) + len(terms.milestones) + len(terms.rates) > MOST_PARTS:
        raise InvalidInput(f"terms: more than {MOST_PARTS:,} lines, milestones and rates together; split the contract")
    named = ExternalId(asked.contract_id) if asked.contract_id else UNNAMED
    return Draft(source, named, terms, asked.approval, tuple(asked.clauses.items()))


def _words(wrong: ValidationError, most: int = 5) -> str:
    """The first things that are wrong, each with its place."""
    told = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg'].lower()}" for one in wrong.errors()]
    more = f"; and {len(told) - most} more" if len(told) > most else ""
    return "; ".join(told[:most]) + more


def _terms(given: JsonValue) -> Terms:
    stated = given["terms"] if isinstance(given, dict) else None
    moment = datetime(2000, 1, 1, tzinfo=UTC).isoformat()
    event = {"contract_id": UNNAMED, "revision": 0, "signed_at": moment, "terms": stated}
    try:
        payload = admit(_SIGNED, orjson.dumps(event))
    except SchemaUnknown as wrong:
        raise InvalidInput(wrong.message.removeprefix(f"{_SIGNED}: ")) from wrong
    if not isinstance(payload, Signed):
        raise TypeError(f"{_SIGNED} is read as {type(payload).__name__}")
    return payload.terms


def _ask(call: Call, questions: Sequence[Question]) -> None:
    """After the answer was sent. What is lost here is asked for again by the next validation."""
    desk = call.api.commands.desk
    try:
        with desk.engine.begin() as conn:
            store.queue(conn, questions, now=desk.clock.now())
    except sa.exc.SQLAlchemyError as wrong:
        _log.warning("what a validation could not find out is not asked for: %s", wrong)


def validation_view(found: Validation, draft: Draft) -> ValidationView:
    """As the API tells of it; the command line prints the same."""
    return ValidationView(
        would_provision=found.would_provision,
        findings=[_finding(one) for one in found.findings],
        unverified=[
            UnverifiedView(what=one.question.what, code=one.question.code, causes=list(one.causes), message=one.message)
            for one in found.unverified
        ],
        approval=_approval(found.approval),
        lane=found.lane,
        policy=found.policy,
        operations=[_planned(one, draft.terms.currency) for one in found.operations],
        references_as_of=[
            AsOfView(system=one.system, observed_at=one.observed_at, age_s=one.age) for one in found.references_as_of
        ],
    )


def _finding(found: Finding) -> FindingView:
    return FindingView(
        cause=found.cause, error_class=found.error_class, function=found.function, message=found.message,
        mended=mended(found),
    )  # fmt: skip


def _approval(asked: ApprovalRequest | None) -> ApprovalView | None:
    if asked is None:
        return None
    return ApprovalView(
        rule=asked.rule.name, function=asked.rule.function, from_amount=asked.rule.from_amount,
        currency=asked.reporting, value=MoneyView(amount=asked.amount, currency=asked.currency),
    )  # fmt: skip


def _exact(field: str, value: Scalar, currency: str) -> Scalar:
    """An amount as all of the API tells it, with its currency's decimals."""
    return padded(Decimal(value), currency) if field in AMOUNTS and isinstance(value, str) else value


def _planned(operation: Operation, currency: str) -> PlannedView:
    after = None if operation.after is None else {n: _exact(n, v, currency) for n, v in operation.after.items()}
    return PlannedView(action=operation.action, kind=operation.kind, key=operation.key, after=after)
