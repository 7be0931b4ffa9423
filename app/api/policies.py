"""The policy: which is in force, what was proposed, and proposals' decisions."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Response
from pydantic import Field, StringConstraints

from app.api.answers import Converted, Moment, View, answer, done
from app.api.calling import Call, calling
from app.api.conditions import once, read_version
from app.api.inputs import Body, Id, Reason, Why
from app.api.routing import CHANGING, EDITING, problems, resource
from sync_core.authority import Permission
from sync_core.commands import policies
from sync_core.commands.desk import Act, NotFound, Once
from sync_core.commands.policies import LONGEST, Proposed

routes = resource("policy")
Reading = Annotated[Call, Depends(calling(Permission.CONTRACTS_READ))]
Writing = Annotated[Call, Depends(calling(Permission.POLICY_WRITE))]
Approving = Annotated[Call, Depends(calling(Permission.POLICY_APPROVE))]
Version = Annotated[int | None, Depends(read_version)]
Key = Annotated[Once | None, Depends(once)]


class ActivationView(View):
    """A version that came into force; without a proposal it is of the file that a worker was started with."""

    version: str
    activated_at: Moment
    activated_by: str
    woken_at: Annotated[Moment | None, Field(description="When a worker began under it")]
    proposal_id: int | None
    reason: Annotated[str | None, Field(description="null also where the reader's reach has a limit")]
    proposed_by: str | None


class ProposalView(View):
    """What somebody proposed, with its back-test against `before`."""

    proposal_id: int
    version: str
    before: str
    reason: str
    proposed_by: str
    proposed_at: Moment
    tested_since: Moment
    tested: Annotated[int, Field(description="Contracts signed since then")]
    unreadable: Annotated[int, Field(description="Contracts of which nothing can be said")]
    changed: Annotated[int, Field(description="Contracts that would be decided on differently")]
    effects: Annotated[dict[str, int], Field(description="How many changes of each kind")]
    money: Annotated[
        Converted | None, Field(description="Value of the changed ones, in the reporting currency; null: no rate")
    ]
    second_person: Annotated[str, Field(description="Why one must approve; empty: nobody need")]
    state: Annotated[str, Field(description="proposed, activated or refused")]
    decided_by: str | None
    decided_at: Moment | None
    decided_reason: str | None
    row_version: int
    body: str


class PendingView(View):
    """That somebody proposed another policy, and no more."""

    proposal_id: int
    version: str
    proposed_by: str
    proposed_at: Moment


class PoliciesView(View):
    """The newest 50 of each, newest first."""

    history: list[ActivationView]
    proposals: Annotated[
        list[ProposalView], Field(description="Empty for whoever is limited to legal entities: they are the firm's")
    ]
    pending: Annotated[PendingView | None, Field(description="What waits for a decision; null: nothing")]
    activated: Annotated[int, Field(description="How many versions came into force, with those not in `history`")]
    refused: Annotated[int, Field(description="How many proposals were refused or withdrawn; 0 where none are shown")]


class Proposal(Body):
    policy: Annotated[
        str, StringConstraints(min_length=1, max_length=LONGEST), Field(description="The text of a policy file, TOML")
    ]
    reason: Reason


class ProposedView(View):
    """`second_person`: why one must approve; empty: it is in force, or was refused."""

    proposal_id: int
    version: str
    before: str
    state: str
    second_person: str
    tested: int
    changed: int
    unreadable: int
    effects: dict[str, int]
    money: Annotated[Converted | None, Field(description="In the reporting currency; null: no rate")]


_EDITED: Final[dict[str, Any]] = {"response_model": ProposedView, "responses": problems(*EDITING)}


@routes.get("/policies", response_model=PoliciesView, summary="Policies in force until now, and proposals")
def list_policies(call: Reading) -> Response:
    return answer(PoliciesView.model_validate(call.reads.policies()))


@routes.get(
    "/policies/{proposal_id}",
    response_model=ProposalView,
    responses=problems(404),
    summary="One of the newest proposals",
)
def one_proposal(call: Reading, proposal_id: Id) -> Response:
    for one in call.reads.policies().proposals:
        if one.proposal_id == proposal_id:
            return answer(ProposalView.model_validate(one), version=one.row_version)
    raise NotFound(f"there is no proposal {proposal_id} among the newest, or not within your reach")


@routes.post(
    "/policies",
    response_model=ProposedView,
    status_code=HTTPStatus.CREATED,
    responses=problems(*CHANGING),
    summary="Back-test a policy over all that stands; it comes into force, or waits for a second person",
)
def propose(call: Writing, body: Proposal, key: Key) -> Response:
    made = call.carry_out(key, lambda act: policies.propose(act, body.policy, body.reason), ProposedView.model_validate)
    return done(made, status=HTTPStatus.CREATED)


@routes.post("/policies/{proposal_id}/approve", **_EDITED, summary="Bring a proposal of somebody else into force")
def approve(call: Approving, proposal_id: Id, version: Version, body: Why, key: Key) -> Response:
    return _decided(call, key, lambda act: policies.decide(act, proposal_id, True, body.reason, version=version))


@routes.post("/policies/{proposal_id}/refuse", **_EDITED, summary="Refuse a proposal of somebody else")
def refuse(call: Approving, proposal_id: Id, version: Version, body: Why, key: Key) -> Response:
    return _decided(call, key, lambda act: policies.decide(act, proposal_id, False, body.reason, version=version))


@routes.post("/policies/{proposal_id}/withdraw", **_EDITED, summary="Take one's own proposal back")
def withdraw(call: Writing, proposal_id: Id, version: Version, body: Why, key: Key) -> Response:
    return _decided(call, key, lambda act: policies.withdraw(act, proposal_id, body.reason, version=version))


def _decided(call: Call, key: Once | None, work: Callable[[Act], Proposed]) -> Response:
    return done(call.carry_out(key, work, ProposedView.model_validate))
