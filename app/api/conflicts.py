"""What a person decides of two systems that do not agree: a field's value, or which customer of master data it is."""

from typing import Annotated

from fastapi import Depends, Response
from pydantic import Field

from app.api.answers import Moment, View, answer, done
from app.api.calling import Call, calling
from app.api.conditions import once, read_version
from app.api.exception_views import ExceptionId
from app.api.inputs import Body, Id, Reason, Why, Word
from app.api.routing import EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import conflicts, customers
from sync_core.commands.conflicts import Take
from sync_core.commands.desk import NotFound, Once
from sync_core.desired import Scalar
from sync_core.errors import Function
from sync_core.reads.case import CaseDetail

routes = resource("exceptions")
Reading = Annotated[Call, Depends(calling(Permission.EXCEPTIONS_READ))]
Correcting = Annotated[Call, Depends(calling(Permission.CORRECTIONS_WRITE))]
Version = Annotated[int | None, Depends(read_version)]
Key = Annotated[Once | None, Depends(once)]


class ConflictView(View):
    """One field with both values."""

    name: Annotated[str, Field(description="What a decision names", examples=["milestone[design].amount"])]
    domain: str
    owner: str
    system: str
    wanted: Annotated[Scalar, Field(description="The contract's value")]
    found: Annotated[Scalar, Field(description="The ERP's value")]
    agreed: Annotated[Scalar, Field(description="When both were last equal; null where that was never seen")]
    takeable: Annotated[bool, Field(description="The ERP's value can be taken into the contract")]
    setter: Annotated[
        Function | None, Field(description="The function that may take it; null: the contract does not state it")
    ]


class AlikeView(View):
    """A master record that the contract's customer is much like."""

    id: Annotated[str, Field(description="What a decision names")]
    code: str
    name: str
    tax_id: str | None
    country: str | None
    status: str
    changed_at: Moment
    contracts: int


class DecisionView(View):
    """What a person said of the code that the contract names its customer by; it holds for all contracts of the CLM."""

    code: str
    is_code: Annotated[str | None, Field(description="null: none of the records that are alike")]
    mdm_id: str | None
    decided_by: str
    decided_at: Moment
    reason: str


class SidesView(View):
    """What two systems say otherwise."""

    conflicts: list[ConflictView]
    customers: list[AlikeView]
    decision: Annotated[DecisionView | None, Field(description="null: nobody decided which customer it is")]


class Resolution(Body):
    decisions: Annotated[
        dict[str, Take],
        Field(min_length=1, max_length=500, description="By the conflict's name; what is not named stays open"),
    ]
    reason: Reason


class ResolvedView(View):
    """The exception closes once a run has read the ERP back."""

    exception_id: ExceptionId
    kept: list[str]
    taken: list[str]
    event_id: Annotated[str | None, Field(description="The correction; null where nothing of the ERP's was taken")]


class Identification(Body):
    record: Annotated[Word | None, Field(description="Id of the master record that it is; null: another customer")]
    reason: Reason


class IdentifiedView(View):
    """All contracts of the CLM with this customer code look again."""

    exception_id: ExceptionId
    code: str
    is_code: str | None
    mdm_id: str | None
    contracts: int


class TakingBack(Why):
    """Names the customer, so that nobody takes back what was decided of another one."""

    code: Annotated[Word, Field(description="The customer's code, as the decision shows it")]


class TakenBackView(View):
    """All contracts of the CLM with this customer code that have not ended are planned again, and wait."""

    exception_id: ExceptionId
    code: str
    was_code: str | None
    contracts: int


@routes.get(
    "/exceptions/{exception_id}/sides",
    response_model=SidesView,
    responses=problems(404),
    summary="What two systems say otherwise",
)
def sides(call: Reading, exception_id: Id) -> Response:
    found = _found(call, exception_id)
    return answer(sides_of(found), version=found.row.version)


def sides_of(found: CaseDetail) -> SidesView:
    decided = found.alike.decision if found.alike else None
    return SidesView(
        conflicts=[ConflictView.model_validate(one) for one in found.conflicts],
        customers=[AlikeView.model_validate(one) for one in (found.alike.records if found.alike else ())],
        decision=DecisionView.model_validate(decided) if decided else None,
    )


def _found(call: Call, exception_id: int) -> CaseDetail:
    found = call.reads.case(exception_id)
    if found is None:
        raise NotFound(f"there is no exception {exception_id} within your reach")
    row = found.row
    call.showed_one(
        "exception.read", f"exception {exception_id}", contract_id=row.contract_id, legal_entity=row.legal_entity
    )
    return found


@routes.post(
    "/exceptions/{exception_id}/resolve",
    response_model=ResolvedView,
    responses=problems(*EDITING),
    summary="Decide an ownership conflict",
)
def resolve(call: Correcting, exception_id: Id, version: Version, body: Resolution, key: Key) -> Response:
    """Ours: the ERP gets the contract's value again. Theirs: the ERP's is taken into the contract, as a correction."""
    return done(
        call.carry_out(
            key,
            lambda act: conflicts.resolve(act, exception_id, body.decisions, body.reason, version=version),
            ResolvedView.model_validate,
        )
    )


@routes.post(
    "/exceptions/{exception_id}/identify",
    response_model=IdentifiedView,
    responses=problems(*EDITING),
    summary="Say which customer of master data it is",
)
def identify(call: Correcting, exception_id: Id, version: Version, body: Identification, key: Key) -> Response:
    return done(
        call.carry_out(
            key,
            lambda act: customers.identify(act, exception_id, body.record, body.reason, version=version),
            IdentifiedView.model_validate,
        )
    )


@routes.post(
    "/exceptions/{exception_id}/identify/take-back",
    response_model=TakenBackView,
    responses=problems(*EDITING),
    summary="Take back which customer of master data it is",
)
def take_back(call: Correcting, exception_id: Id, version: Version, body: TakingBack, key: Key) -> Response:
    """The contracts wait for another decision, and stay as they are."""
    return done(
        call.carry_out(
            key,
            lambda act: customers.take_back(act, exception_id, body.code, body.reason, version=version),
            TakenBackView.model_validate,
        )
    )
