"""What is known of this ERP from its files: the last dump, what lies in its inbox, and its answers.

Files never change, so each is read once, by one of all who ask at the same time. The inbox is listed before anything
else is trusted: a batch that lies there is not in the dump yet. Both lists come with one answer, so that no night can
fall between them. Big files are taken apart beside the event loop.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from urllib.parse import quote

import orjson

from sync_core.connectors.answers import Json, Row
from sync_core.connectors.erp.sandbox_legacy.layout import CODE_PAGE, BadFile, Record, grouped, records_in
from sync_core.connectors.erp.sandbox_legacy.mapping import KINDS
from sync_core.connectors.http import OK, ErpHttp
from sync_core.desired import Kind
from sync_core.errors import ErpAnswerIncomplete, ErpUnavailable
from sync_core.keys import BusinessKey, ErpRef, owning_contract
from sync_core.lanes.batches import Answer, Handed
from sync_core.ports import CallContext

Owner = tuple[Kind | None, str]
_MASTER = frozenset({"50", "51", "52", "53", "54"})


_TRIES = 5
_NUMBER = itemgetter(0)


class _Gone(Exception):
    """A file was listed and is no longer there."""


@dataclass(slots=True)
class Dump:
    """One dump, by whom its records belong to."""

    name: str = ""
    master: set[tuple[str, ...]] = field(default_factory=set)  # type, then the codes that name a record
    currency_of: dict[str, str] = field(default_factory=dict)  # of a legal entity's books
    shared: dict[Owner, list[Record]] = field(default_factory=dict)
    orders: dict[str, list[Record]] = field(default_factory=dict)  # by contract
    parts: dict[str, list[Record]] = field(default_factory=dict)  # by the order's document
    documents: dict[str, Record] = field(default_factory=dict)
    facts: list[Record] = field(default_factory=list)
    _numbered: list[tuple[int, Record]] = field(default_factory=list)

    def facts_after(self, number: int, *, most: int) -> tuple[list[Record], bool]:
        """The next ones, and whether there are more. What was told before is not gone through again."""
        if len(self._numbered) != len(self.facts):
            self._numbered = sorted(((int(fact["number"]), fact) for fact in self.facts), key=_NUMBER)
        begin = bisect_right(self._numbered, number, key=_NUMBER)
        return [fact for _, fact in self._numbered[begin : begin + most]], begin + most < len(self._numbered)


@dataclass(slots=True)
class Books:
    """Safe to share between tasks of one event loop."""

    http: ErpHttp
    dump: Dump = field(default_factory=Dump)
    handed: dict[Owner, Handed] = field(default_factory=dict)
    answers: dict[Owner, Answer] = field(default_factory=dict)
    rows: dict[str, Mapping[Owner, Sequence[Record]]] = field(default_factory=dict)  # of answers, by batch
    _batches: dict[str, list[Owner]] = field(default_factory=dict)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _asked: int = 0
    _known: int = 0  # which question was the newest whose answer is known

    async def read(self, ctx: CallContext) -> None:
        """Bring all of it up to date. Raises the Erp* errors."""
        for _ in range(_TRIES):
            try:
                await self._read(ctx)
            except _Gone:
                continue  # a newer one stands in its place
            return
        raise ErpUnavailable(self.http.system, "its files are replaced faster than they can be read")

    async def _read(self, ctx: CallContext) -> None:
        self._asked += 1
        asked = self._asked
        listed = await self.http.call("files.list", "GET", "/files", ctx=ctx, write=False)
        files = Row.of(self.http.system, listed.body)
        async with self._reading:
            if asked > self._known:  # else a list that was asked for later is known already
                await self._take_in(files, ctx)
                self._known = asked

    async def _take_in(self, files: Row, ctx: CallContext) -> None:
        waiting = [(row.text("file"), _moment(row, "answer_due")) for row in files.rows("inbox")]
        handed: dict[Owner, Handed] = {}
        for name, due in waiting:
            for kind, owner in await self._owners(name, ctx):
                handed[kind, owner] = Handed(BusinessKey(owner), kind, name, due)
        told = files.rows("results")
        for row in told:
            if row.text("batch") not in self.rows:
                await self._answer(row, ctx)
        for name in [dump.text("file") for dump in files.rows("dumps")][-1:]:
            if name != self.dump.name:
                text = await self._text(name, ctx)
                self.dump = dump_of(name, await asyncio.to_thread(self._records, text))
        if not self.dump.name:
            raise ErpUnavailable(self.http.system, "it has not written a dump yet")
        self.handed = handed
        # What the ERP lists no more is too old to matter.
        listed = {row.text("batch") for row in told}
        self.rows = {name: rows for name, rows in self.rows.items() if name in listed}
        self.answers = {owner: answer for owner, answer in self.answers.items() if answer.batch in listed}
        kept = listed | {name for name, _ in waiting}
        self._batches = {name: owners for name, owners in self._batches.items() if name in kept}

    async def _owners(self, name: str, ctx: CallContext) -> list[Owner]:
        if name not in self._batches:
            groups = grouped(self._records(await self._text(name, ctx)))
            self._batches[name] = [_owner(group) for group, _ in groups]
        return self._batches[name]

    async def _answer(self, row: Row, ctx: CallContext) -> None:
        batch = row.text("batch")
        handed_at, written_at = _moment(row, "accepted_at"), _moment(row, "written_at")
        rows: dict[Owner, Sequence[Record]] = {}
        text = await self._text(row.text("file"), ctx)
        for group, records in grouped(await asyncio.to_thread(self._records, text)):
            kind, owner = _owner(group)
            rows[kind, owner] = records
            words = tuple(f"{r['words']} ({r['code']})" for r in records if r["answer"] == "X")
            posted = frozenset(ErpRef(r["document"]) for r in records if r["answer"] == "P" and r["action"] == "P")
            before = self.answers.get((kind, owner))
            if before is None or before.handed_at <= handed_at:
                self.answers[kind, owner] = Answer(
                    BusinessKey(owner), kind, batch, group["mark"], handed_at, written_at, words, posted
                )
        self.rows[batch] = rows

    async def _text(self, name: str, ctx: CallContext) -> str:
        path = f"/files/{quote(name, safe='')}"
        answer = await self.http.call("file.read", "GET", path, ctx=ctx, write=False, ok=OK | {404})
        if answer.status == 404:
            raise _Gone
        if not isinstance(answer.body, str):
            raise ErpAnswerIncomplete(self.http.system, f"its file {name} is no text")
        return answer.body

    def _records(self, text: str) -> list[dict[str, str]]:
        try:
            return records_in(text)
        except BadFile as wrong:
            raise ErpAnswerIncomplete(self.http.system, f"a file of its does not follow the layout: {wrong}") from wrong


def parse(content: bytes) -> Json:
    """Lists are JSON, files are text. Raises ValueError for what is neither."""
    found: Json = orjson.loads(content) if content[:1] in (b"{", b"[") else content.decode(CODE_PAGE)
    return found


def _moment(row: Row, name: str) -> datetime:
    try:
        return datetime.fromisoformat(row.text(name))
    except ValueError as wrong:
        raise ErpAnswerIncomplete(row.system, f"its list of files has no moment in {name}") from wrong


def _owner(group: Record) -> Owner:
    return (KINDS[group["object"]] if group["object"] else None), group["owner"]


def dump_of(name: str, records: Sequence[Record]) -> Dump:
    dump = Dump(name)
    for record in records:
        kind = record["type"]
        if kind in _MASTER:
            _master(dump, record)
        elif kind == "40":
            dump.facts.append(record)
        else:
            dump.documents[record["document"]] = record
            if kind in ("20", "21"):
                dump.shared.setdefault((KINDS[kind], record["key"]), []).append(record)
            elif kind == "30":
                dump.orders.setdefault(owning_contract(record["key"]), []).append(record)
            else:
                dump.parts.setdefault(record["order_document"], []).append(record)
    return dump


def _master(dump: Dump, record: Record) -> None:
    named = {"50": ("entity",), "51": ("entity", "tax"), "52": ("terms",), "53": ("category",),
             "54": ("entity", "month")}[record["type"]]  # fmt: skip
    dump.master.add((record["type"], *(record[name] for name in named)))
    if record["type"] == "50":
        dump.currency_of[record["entity"]] = record["currency"]
