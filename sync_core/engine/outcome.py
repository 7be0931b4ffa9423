"""What one reconciliation came to, and what the contract's row says next. Pure.

An Outcome is all that is written of a run: the group commit (sync_core/journal.py) stores many at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from sync_core.checks import Finding
from sync_core.contract import Contract
from sync_core.desired import Found, Scalar
from sync_core.engine.claim import Claimed
from sync_core.engine.items import ItemEnd
from sync_core.keys import BusinessKey
from sync_core.ports import ApiCall
from sync_core.progress import Step

MAX_ATTEMPTS = 8
RECHECK_FIRST, RECHECK_LAST = timedelta(seconds=30), timedelta(minutes=30)
RECHECK_CONTRACT = timedelta(hours=24)  # only a new event can mend the contract itself; an estate change is rare
GAP_GRACE = timedelta(hours=24)


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


@dataclass(slots=True)
class Outcome:
    """One run of one contract. `state` None: the state does not change."""

    run_id: UUID
    claimed: Claimed
    seen_rev: int
    started_at: datetime
    correlation_id: str
    trace_id: str | None = None
    name: str = "converged"  # converged, blocked, retry, lane_down, lost, failed, skipped
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
    operations: list[Done] = field(default_factory=list)
    calls: list[ApiCall] = field(default_factory=list)
    confirmed: list[Found] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    checked: frozenset[str] = frozenset()  # causes that the run looked for; those not among its findings are gone
    read_back: bool = False  # the ERP was read after the last write and is as wanted
    steps: list[tuple[Step, datetime]] = field(default_factory=list)
    sent: bool = False  # of a replay's item: the ERP may have got a write
    end: ItemEnd | None = None  # of a replay's item; None: it stays pending

    @property
    def reason(self) -> str | None:
        """Why the contract is not where it should be, in the words that its row shows."""
        return self.error or (self.findings[0].message if self.findings else None)

    @property
    def mere_recheck(self) -> bool:
        """A blocked contract looked whether its causes are gone, and none is, and there is no other: no news, so no run
        and no occurrence.
        """
        again = self.name == "blocked" and self.claimed.state == "blocked" and self.seen_rev == self.claimed.done_rev
        if not again or self.reason != self.claimed.last_error or self.claimed.replay is not None:
            return False
        found = {finding.cause for finding in self.findings}
        closes = (self.claimed.open_causes & self.checked) - found
        opens = found - self.claimed.open_causes - self.claimed.decided_causes
        return not closes and not opens


def recheck_at(now: datetime, since: datetime, *, last: timedelta = RECHECK_LAST) -> datetime:
    """When a blocked contract looks again whether its owner has mended the cause: ever more rarely."""
    waited = max(now - since, timedelta())
    return now + min(max(waited / 4, RECHECK_FIRST), last)


def retry_at(now: datetime, attempt: int, jitter: float) -> datetime:
    """Full jitter (`jitter` in [0, 1)) under an exponential cap of five minutes."""
    cap_s = min(300.0, 2.0 ** min(attempt, 8))
    return now + timedelta(seconds=0.5 + jitter * cap_s)
