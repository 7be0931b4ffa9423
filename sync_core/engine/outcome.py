"""What one reconciliation came to, and what the contract's row says next. Pure.

An Outcome is all that is written of a run: the group commit (sync_core/journal/journal.py) stores many at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sync_core.checks import Finding
from sync_core.contract import Contract
from sync_core.desired import Found, Scalar
from sync_core.domains.conflicts import Agreed
from sync_core.engine.claim import Claimed
from sync_core.engine.items import ItemEnd
from sync_core.journal.progress import Step
from sync_core.keys import BusinessKey
from sync_core.moving.moving import Behind
from sync_core.moving.observing import Observed
from sync_core.ports import ApiCall
from sync_core.references.references import Answer, Question

MAX_ATTEMPTS = 8
RECHECK_FIRST, RECHECK_LAST = timedelta(seconds=30), timedelta(minutes=30)
RECHECK_CONTRACT = timedelta(hours=24)  # only a new event can mend the contract itself; an estate change is rare
GAP_GRACE = timedelta(hours=24)
RECHECK_TASK = timedelta(hours=1)  # of an active contract: whether people settled what is theirs


@dataclass(frozen=True, slots=True)
class Done:
    """One operation that was sent, or decided against."""

    action: str
    kind: str
    key: BusinessKey
    ref: str | None
    status: str  # done, no_op, adopted, failed, conflict
    before: Mapping[str, Scalar] | None
    after: Mapping[str, Scalar] | None
    started_at: datetime
    finished_at: datetime
    span_id: str | None = None
    error_class: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """What a run says to a contract's placement. `behind` None: it stays in `lane` after all."""

    lane: str
    behind: Behind | None


@dataclass(slots=True)
class Outcome:
    """One run of one contract. `state` None: the state does not change."""

    run_id: UUID
    claimed: Claimed
    seen_rev: int
    started_at: datetime
    correlation_id: str
    trace_id: str | None = None
    name: str = "converged"  # converged, waiting, blocked, retry, lane_down, lost, failed, skipped
    state: str | None = None
    since: datetime | None = None  # of the state, where it is not now
    next_due: datetime | None = None
    refund: bool = False  # the attempt does not count
    unclean: bool = False  # a request of ours may still be running in the ERP
    held_value: Decimal | None = None  # the project's value as the ERP last confirmed it
    settled: bool = False  # nothing of an earlier worker can be running any more
    contract: Contract | None = None
    lane: str | None = None
    digest: str | None = None
    project_ref: str | None = None
    error_class: str | None = None
    error: str | None = None
    note: str | None = None  # what it waits for, where nothing is wrong
    operations: list[Done] = field(default_factory=list)
    calls: list[ApiCall] = field(default_factory=list)
    confirmed: list[Found] = field(default_factory=list)
    agreed: Agreed = field(default_factory=dict)  # where the ERP holds what nobody agreed to: what was agreed before
    values: Mapping[str, Scalar] | None = None  # what the ERP's own fields say otherwise; None: nobody looked
    findings: list[Finding] = field(default_factory=list)
    tasks: list[Finding] = field(default_factory=list)  # exceptions that stop nothing
    checked: frozenset[str] = frozenset()  # causes that the run looked for; those not among its findings are gone
    suspended: bool = False  # its project bills nothing, as agreed
    read_back: bool = False  # the ERP was read after the last write and is as wanted
    steps: list[tuple[Step, datetime]] = field(default_factory=list)
    answers: Mapping[Question, Answer] = field(default_factory=dict)  # what the ERP's master data said
    sent: bool = False  # of a replay's item: the ERP may have got a write
    end: ItemEnd | None = None  # of a replay's item; None: it stays pending
    placed: str | None = None  # the ERP in whose queue the contract stands next, where a move says so
    left: Left | None = None
    observed: Observed | None = None  # what was only looked at, because its ERP is not written to
    was_observed: bool = False
    refused: tuple[str, str] | None = None  # the batch, by its ERP and name, of whose refusal it tells
    was_refused: tuple[str, str] | None = None  # the one that an earlier run told of
    taken: datetime | None = None  # what was adopted by the decision of then bears our keys now
    behind: Mapping[str, Behind] = field(default_factory=dict)  # by ERP that it left: what is invoiced there now
    onward: bool = False  # the first half of a move, or of a new agreement: another run goes on
    billed_before: Decimal = Decimal(0)  # in projects that were closed as it left their ERPs

    @property
    def reason(self) -> str | None:
        """Why the contract is not where it should be, in the words that its row shows."""
        return self.error or (self.findings[0].message if self.findings else self.note)

    @property
    def causes(self) -> frozenset[str]:
        """Of all that was found."""
        return frozenset(finding.cause for finding in (*self.findings, *self.tasks))

    @property
    def verdict(self) -> frozenset[str]:
        """Causes that are gone unless they were found. Without a word of the run, such as in an outage, a blocked
        contract keeps what it is blocked for; of an unsigned one nothing but itself is looked at.
        """
        unsigned = self.error is None and self.contract is not None and self.contract.signed_at is None
        return self.checked if self.findings or unsigned else frozenset()

    @property
    def mere_recheck(self) -> bool:
        """A contract looked whether the causes of its exceptions are gone, and none is, and there is no other: no news,
        so no run and no occurrence.
        """
        blocked = self.name == "blocked" and self.claimed.state == "blocked"
        same = self.state == self.claimed.state
        if same and self.state == "draft" and not self.causes | self.claimed.open_causes:
            # A draft in which nothing is wrong, whatever came of it.
            return self.error is None and self.claimed.last_error is None and self.claimed.replay is None
        told = same and self.state in ("active", "suspended", "draft") and bool(self.tasks) and not self._wrote
        if not (blocked or told) or self.seen_rev != self.claimed.done_rev:
            return False
        if self.reason != self.claimed.last_error or self.claimed.replay is not None:
            return False
        looked = self.claimed.open_causes if self.read_back else self.claimed.open_causes & self.checked
        return self.causes.issuperset(looked) and not (
            self.causes - self.claimed.open_causes - self.claimed.decided_causes
        )

    @property
    def _wrote(self) -> bool:
        return any(done.status not in ("no_op", "task") for done in self.operations)


def recheck_at(now: datetime, since: datetime, *, last: timedelta = RECHECK_LAST) -> datetime:
    """When a blocked contract looks again whether its owner has mended the cause: ever more rarely."""
    waited = max(now - since, timedelta())
    return now + min(max(waited / 4, RECHECK_FIRST), last)


def retry_at(now: datetime, attempt: int, jitter: float) -> datetime:
    """Full jitter (`jitter` in [0, 1)) under an exponential cap of five minutes."""
    cap_s = min(300.0, 2.0 ** min(attempt, 8))
    return now + timedelta(seconds=0.5 + jitter * cap_s)
