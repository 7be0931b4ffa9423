"""What the ERP saw: every write request, answered or not, and how often each record was created, updated, deleted.

It is what tests and the demo count duplicates with. In memory; the oldest requests are forgotten.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from app.sandbox.cloud.records import BY_KIND
from app.sandbox.cloud.store import Change, Store


@dataclass(slots=True)
class WriteRequest:
    """One write request. `status` None: it got no answer; `committed` says whether it was stored all the same."""

    operation: str
    path: str
    keys: list[str]
    at: datetime
    status: int | None = None
    committed: bool = False
    created: int = 0
    updated: int = 0
    deleted: int = 0
    fault: str | None = None


@dataclass(slots=True)
class Count:
    created: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(slots=True)
class Ledger:
    requests: deque[WriteRequest] = field(default_factory=lambda: deque(maxlen=100_000))
    counts: dict[tuple[str, str], Count] = field(default_factory=dict)

    def book(self, store: Store, changes: Sequence[Change], request: WriteRequest | None) -> None:
        for kind, ident, before in changes:
            if kind not in BY_KIND:
                continue
            after = store.get(kind, ident)
            known = after or before
            what = "created" if before is None else "deleted" if after is None else "updated"
            count = self.counts.setdefault((kind, str(known["external_id"] if known else ident)), Count())
            for tally in (count, request):
                if tally is not None:
                    setattr(tally, what, getattr(tally, what) + 1)
        if request is not None:
            request.committed = True

    def of(self, kind: str, key: str) -> Count:
        return self.counts.get((kind, key), Count())

    def listing(self) -> list[dict[str, str | int]]:
        return [{"kind": kind, "key": key, **asdict(count)} for (kind, key), count in self.counts.items()]
