"""The audit: its rows, newest first, and what the last verification of the whole chain found."""

from typing import Annotated

from fastapi import Depends, Query, Response
from pydantic import AwareDatetime, Field, JsonValue

from app.api.answers import Moment, PageOf, Paging, View, answer, paging
from app.api.calling import Call, calling
from app.api.inputs import MOST_ID, Id, Text
from app.api.routing import problems, resource
from sync_core.authority import Permission
from sync_core.commands.desk import NotFound
from sync_core.reads.audit import AuditFilter

routes = resource("audit")
Reading = Annotated[Call, Depends(calling(Permission.AUDIT_READ))]


class AuditView(View):
    """One thing done. Hashes are SHA-256, in hex."""

    id: int
    occurred_at: Moment
    actor: str
    actor_kind: str
    roles: str
    action: Annotated[str, Field(examples=["exception.assign"])]
    subject: str
    reason: str
    contract_id: int | None
    external_id: str | None
    legal_entity: str | None
    correlation_id: str
    detail: Annotated[dict[str, JsonValue], Field(description="What was previewed, before and after")]
    items: int
    items_root: Annotated[str | None, Field(description="Merkle root over the items")]
    previous: str
    hash: str


class ChainView(View):
    """The last daily verification."""

    verified_at: Annotated[Moment | None, Field(description="null: there was none yet")]
    whole: bool
    rows: Annotated[int, Field(description="That it read")]
    rows_now: int
    checkpoints: int
    message: Annotated[str, Field(description="What is wrong, in one line")]
    row_id: int | None


async def audit_filter(
    actor: Text = "",
    action: Annotated[Text, Query(description="Exactly, or its beginning when it ends in a dot: `exception.`")] = "",
    contract: Annotated[Text, Query(description="The contract's id in its CLM")] = "",
    contract_id: Annotated[int | None, Query(ge=1, le=MOST_ID)] = None,
    legal_entity: Text = "",
    subject: Annotated[Text, Query(description="Exactly: `exception 4711`")] = "",
    since: Annotated[AwareDatetime | None, Query()] = None,
    until: Annotated[AwareDatetime | None, Query(description="Exclusive")] = None,
    text: Annotated[Text, Query(description="In actor, action, subject and reason, any case")] = "",
) -> AuditFilter:
    return AuditFilter(actor, action, contract, contract_id, legal_entity, subject, since, until, text)


@routes.get("/audit", response_model=PageOf[AuditView], summary="List the audit, newest first")
def list_audit(
    call: Reading,
    page: Annotated[Paging, Depends(paging)],
    wanted: Annotated[AuditFilter, Depends(audit_filter)],
) -> Response:
    """Rows that belong to no legal entity are for programs without a limit alone."""
    found = call.reads.audit(wanted, window=page.window)
    call.showed(row.contract_id for row in found.rows if row.contract_id is not None)
    return page.answer(found, AuditView)


@routes.get("/audit/status", response_model=ChainView, summary="Whether the audit is whole")
def status(call: Reading) -> Response:
    return answer(ChainView.model_validate(call.reads.audit_status()))


@routes.get("/audit/{row_id}", response_model=AuditView, responses=problems(404), summary="One row of the audit")
def one_row(call: Reading, row_id: Id) -> Response:
    found = call.reads.audit_row(row_id)
    if found is None:
        raise NotFound(f"there is no audit row {row_id} within your reach")
    call.showed_one("audit.read", f"audit row {row_id}", contract_id=found.contract_id, legal_entity=found.legal_entity)
    return answer(AuditView.model_validate(found))
