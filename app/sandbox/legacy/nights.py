"""The ERP's day: batches are taken in the evening, the night bills and posts, the morning has answers and a dump.

Billing comes before posting: what is posted tonight can be looked at all day before it is billed for the first time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from app.sandbox.cloud.billing import Billing
from app.sandbox.cloud.problems import Problem
from app.sandbox.cloud.store import Store
from app.sandbox.legacy import dump
from app.sandbox.legacy.posting import Posting, Row
from sync_core.connectors.erp.sandbox_legacy.layout import (
    LAYOUT,
    PLACES,
    BadFile,
    Record,
    file_of,
    grouped,
    line_of,
    records_in,
)
from sync_core.lanes.batches import BatchWindow

_KEPT = timedelta(days=14)  # answers in the outbox
_NAME = re.compile(r"[A-Z0-9-]{1,24}")
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Nights:
    """`advance` first, on every request: it makes the nights that are over. `at_once`: a night after each batch."""

    store: Store
    billing: Billing
    window: BatchWindow
    at_once: bool = False
    extract: tuple[str, datetime] | None = None  # name and moment of the last dump
    dropped: dict[str, set[str]] = field(default_factory=dict)  # by record type, fields that a release took away
    _dumped: tuple[str, bytes] = ("", b"")  # written when it is asked for: between two nights nothing is posted

    def advance(self, now: datetime) -> None:
        held = self.store.get("progress", "night")
        last = datetime.fromisoformat(str(held["at"])) if held else now
        if held is None:
            self._done(now)
        if self.extract is None:
            self.publish(last)
        ran = None
        while (night := self.window.answer_after_close(last)) <= now:
            self._night(night)
            ran = last = night
        if ran is not None:
            self._done(ran)
            self.publish(ran)

    def accept(self, name: str, content: str, now: datetime) -> dict[str, str]:
        """Raises Problem: out of hours, a name that is taken, a file that does not follow the layout."""
        if not self.at_once and not self.window.is_open(now):
            opens = self.window.opens_after(now)
            words = (
                f"batches are taken from {self.window.opens:%H:%M} to {self.window.closes:%H:%M} ({self.window.zone})"
            )
            wait = {"retry-after": str(int((opens - now).total_seconds()) + 1)}
            raise Problem(503, "out_of_hours", words, wait)
        if not _NAME.fullmatch(name):
            raise Problem(422, "bad_name", f"{name!r} is no file name: up to 24 of A-Z, 0-9 and -")
        if self.store.get("batch", name) is not None:
            raise Problem(409, "name_taken", f"there was a file {name} before")
        try:
            list(grouped(records_in(content)))
        except BadFile as wrong:
            raise Problem(422, "bad_file", str(wrong)) from wrong
        due = now if self.at_once else self.window.answer_after(now)
        number = str(self.store.count("batch") + 1)
        told = {"file": name, "accepted_at": now.isoformat(), "answer_due": due.isoformat()}
        self.store.put("batch", {"id": name, **told, "number": number, "answered": "", "content": content})
        self.store.commit()
        return told

    def night(self, now: datetime) -> None:
        """Now, whatever the time is."""
        for doc in list(self.store.all("batch")):
            if not doc["answered"]:
                self.store.put("batch", {**doc, "answer_due": now.isoformat()})
        self._night(now)
        self.publish(now)

    def publish(self, at: datetime) -> None:
        self.extract = (f"EXT-{at.astimezone(UTC):%Y%m%d%H%M%S%f}", at)

    def listing(self) -> dict[str, list[dict[str, str]]]:
        batches = list(self.store.all("batch"))
        names = ("file", "accepted_at", "answer_due")
        waiting = [{name: str(doc[name]) for name in names} for doc in batches if not doc["answered"]]
        told = [{"file": f"RES-{doc['id']}", "batch": str(doc["id"]), "accepted_at": str(doc["accepted_at"]),
                 "written_at": str(doc["answered"])} for doc in self._answered()]  # fmt: skip
        dumps = [{"file": self.extract[0]}] if self.extract else []
        return {"inbox": waiting, "results": told, "dumps": dumps}

    def layout(self) -> dict[str, object]:
        """Where each field of its records stands."""
        records = {
            kind: {name: list(place) for name, place in places.items() if name not in self.dropped.get(kind, ())}
            for kind, places in PLACES.items()
        }
        return {"layout": LAYOUT, "records": records}

    def file(self, name: str) -> bytes | None:
        """Of the outbox, or a batch as it was sent."""
        if self.extract is not None and name == self.extract[0]:
            return self._dump(*self.extract)
        kind, ident = ("result", name) if name.startswith("RES-") else ("batch", name)
        doc = self.store.get(kind, ident)
        return str(doc["content"]).encode("cp1252") if doc else None

    def _dump(self, name: str, at: datetime) -> bytes:
        if self._dumped[0] != name:
            lines = dump.lines(self.store, self.dropped)
            self._dumped = (name, file_of(name, "DUMP", f"{at.astimezone(UTC):%Y%m%d%H%M%S}", lines))
        return self._dumped[1]

    def _answered(self) -> Iterator[dict[str, str]]:
        known = [doc for doc in self.store.all("batch") if doc["answered"]]
        last = max((datetime.fromisoformat(str(doc["answered"])) for doc in known), default=None)
        for doc in known:
            if last is not None and datetime.fromisoformat(str(doc["answered"])) > last - _KEPT:
                yield {name: str(value) for name, value in doc.items()}

    def _night(self, at: datetime) -> None:
        day = at.astimezone(ZoneInfo(self.window.zone)).date()
        self.billing.advance(day - _DAY)
        for doc in sorted(self.store.all("batch"), key=lambda d: int(str(d["number"]))):
            if not doc["answered"] and datetime.fromisoformat(str(doc["answer_due"])) <= at:
                content = self._answer(str(doc["id"]), str(doc["content"]), at)
                self.store.put("result", {"id": f"RES-{doc['id']}", "content": content.decode("cp1252")})
                self.store.put("batch", {**doc, "answered": at.isoformat()})
                self.store.commit()

    def _answer(self, name: str, content: str, at: datetime) -> bytes:
        day = at.astimezone(ZoneInfo(self.window.zone)).date()
        lines: list[str] = []
        for group, records in grouped(records_in(content)):
            rows = Posting(self.store, self.billing, day).post(records)
            whole = "P" if all(row.answer == "P" for row in rows) else "X"
            lines.append(line_of({**group, "action": whole}))
            lines += [_line(number, row, record) for number, row, record in zip(count(1), rows, records, strict=False)]
        return file_of(f"RES-{name}"[:24], "ANSWER", f"{at.astimezone(UTC):%Y%m%d%H%M%S}", lines)

    def _done(self, at: datetime) -> None:
        self.store.put("progress", {"id": "night", "at": at.isoformat()})
        self.store.commit()


def _line(number: int, row: Row, record: Record) -> str:
    return line_of({
        "type": "60", "action": record["action"], "document": row.document, "line": str(number),
        "answer": row.answer, "code": row.code, "words": row.words[:100],
    })  # fmt: skip
