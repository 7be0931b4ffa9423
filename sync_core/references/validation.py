"""Would this contract be provisioned? What a CLM asks before signature, answered without asking any ERP. Pure.

The checks are those of a run, by the same functions (`intend_known` and `judged` of sync_core/engine/look.py). Instead
of a fresh read of the ERP they get one that is put together from what is known (sync_core/references/references.py).
What is not known is told apart: it is never taken for right, nor for wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sync_core.cases.approvals import Request, request
from sync_core.cases.ownership import where_mended
from sync_core.contract import Approval, ClauseStatus, Contract, Stage, Terms
from sync_core.desired import Desired, Kind
from sync_core.engine.look import intend_known, judged, scope_of
from sync_core.estate.estate import Estate
from sync_core.events import PREFIX, Event, Signed
from sync_core.findings import Finding
from sync_core.keys import ExternalId
from sync_core.master.match import Masters
from sync_core.plan import Operation
from sync_core.ports import Scope
from sync_core.references.references import (
    CAUSES_OF,
    Known,
    Question,
    What,
    month_of,
    observation_of,
    questions_of,
    words_of,
)

_KINDS: Final = {What.CUSTOMER: Kind.CUSTOMER, What.LABOUR_CATEGORY: Kind.LABOUR_CATEGORY}
UNNAMED = ExternalId("not-signed-yet")  # stands in keys for a contract that has no id yet


@dataclass(frozen=True, slots=True)
class Draft:
    """Terms as they would be signed now, and what the CLM says of their approval."""

    source: str
    external_id: ExternalId
    terms: Terms
    approval: Approval = Approval.PENDING
    clauses: tuple[tuple[str, ClauseStatus], ...] = ()

    def event(self, now: datetime) -> Event:
        """As its signature would come."""
        payload = Signed(contract_id=self.external_id, revision=1, signed_at=now, terms=self.terms)
        return Event(self.source, self.external_id, f"{PREFIX}signed.v1", now, payload)

    def signed(self, now: datetime) -> Contract:
        return Contract(
            source=self.source, external_id=self.external_id, stage=Stage.SIGNED, terms=self.terms, revision=1,
            signed_at=now, approval=self.approval, clauses=tuple(sorted(self.clauses)),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Intended:
    """What is known without master data: what the terms lack, or what is to be known of an ERP."""

    contract: Contract
    findings: tuple[Finding, ...]
    lane: str
    approval: Request | None
    desired: Desired | None = None
    scope: Scope | None = None
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Unverified:
    """What could not be looked for: `causes` of findings that there may be or not."""

    question: Question
    causes: tuple[str, ...]

    @property
    def message(self) -> str:
        return words_of(self.question)


@dataclass(frozen=True, slots=True)
class AsOf:
    """How old the oldest is of what was used to answer."""

    system: str
    observed_at: datetime
    age: timedelta


@dataclass(frozen=True, slots=True)
class Validation:
    """`operations`: of the plan against an ERP that holds master data and nothing of this contract. What is there of
    master data that nobody has seen is not known, so no operation on it is told.
    """

    findings: tuple[Finding, ...]
    unverified: tuple[Unverified, ...]
    lane: str
    policy: str
    approval: Request | None
    operations: tuple[Operation, ...] = ()
    references_as_of: tuple[AsOf, ...] = ()

    @property
    def would_provision(self) -> bool:
        """Nothing speaks against it, and all that could was looked for."""
        return not self.findings and not self.unverified


def mended(finding: Finding) -> str:
    """What to do about a finding, and where."""
    return where_mended(finding.cause, finding.function)


def intended(draft: Draft, estate: Estate, *, now: datetime, masters: Masters | None = None) -> Intended:
    """Expects a CLM of the estate as the source. `masters`: the master data that its customer may mean."""
    intent = intend_known(draft.signed(now), masters, None, estate, {}, now=now)
    contract = intent.contract
    lane = estate.lane_of(draft.terms) or ""
    asked = Intended(contract, intent.stops, lane, request(contract, estate))
    if intent.desired is None or intent.desired.project is None:
        return asked
    scope = scope_of(contract, intent.desired, estate)
    questions = tuple(questions_of(intent.lane, scope, month_of(now)))
    return Intended(contract, (), intent.lane, asked.approval, intent.desired, scope, questions)


def validated(asked: Intended, known: Mapping[Question, Known], estate: Estate, *, now: datetime) -> Validation:
    """`known`: the answers to `asked.questions`, as far as there are any."""
    plain = Validation(asked.findings, (), asked.lane, estate.rules_version, asked.approval)
    if asked.desired is None or asked.scope is None or asked.contract.terms is None:
        return plain
    put = observation_of(asked.lane, asked.scope, known, month_of(now), currency=asked.contract.terms.currency)
    sight = judged(asked.scope, asked.desired, put.observed, estate, put.capabilities, known={})
    unseen = {(_KINDS[one.what], one.code) for one in put.unknown if one.what in _KINDS}
    oldest = min((one.observed_at for one in put.used), default=None)
    return Validation(
        findings=sight.findings,
        unverified=tuple(Unverified(question, CAUSES_OF[question.what]) for question in put.unknown),
        lane=asked.lane,
        policy=estate.rules_version,
        approval=asked.approval,
        operations=tuple(one for one in sight.plan.operations if (one.kind, one.key) not in unseen),
        references_as_of=() if oldest is None else (AsOf(asked.lane, oldest, max(now - oldest, timedelta())),),
    )
