"""The requests that read and write records. Each handler is plain code on the store; the server commits after it.

PUT is an upsert by external id; with `on_existing=keep` a record that exists is answered as it is. POST creates,
and refuses an external id that is taken. Where external ids are not unique (`unique_keys=False`, as in ERPs that
know no such thing), there is no PUT and every POST makes another record.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from app.sandbox.cloud import hours, revenue, rules
from app.sandbox.cloud.billing import Billing
from app.sandbox.cloud.problems import Problem, invalid, not_found
from app.sandbox.cloud.records import BY_PATH, PARTS, Doc, RecordType, as_object, checked, key_of
from app.sandbox.cloud.store import Store
from app.sandbox.cloud.upgrade import API, Names

MOST_ITEMS = 500
_MOST_ROWS = 200


@dataclass(slots=True)
class Call:
    """A request, taken apart: /v1/<collection>/<ident>/<sub>; `external` if ident was written ext:<key>."""

    method: str
    collection: str
    ident: str
    external: bool
    sub: str
    query: Mapping[str, list[str]]
    body: object = None
    keys: list[str] = field(default_factory=list)  # external ids that a write names, for the ledger

    def one(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]


@dataclass(slots=True)
class Answer:
    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Api:
    store: Store
    billing: Billing
    unique_keys: bool
    today: Callable[[], date]
    release: str
    names: Names = field(default_factory=Names)

    def put_one(self, call: Call) -> Answer:
        """PUT /v1/projects/ext:KEY"""
        record = BY_PATH[call.collection]
        body = {**as_object(call.body), "external_id": call.ident}
        doc, created = self._save(record, body, call, upsert=True)
        return Answer(201 if created else 200, {**doc, "created": created})

    def create_one(self, call: Call) -> Answer:
        """POST /v1/projects"""
        doc, _ = self._save(BY_PATH[call.collection], as_object(call.body), call, upsert=False)
        return Answer(201, {**doc, "created": True})

    def put_many(self, call: Call) -> Answer:
        """PUT /v1/customers, PUT /v1/projects/ID/milestones: all items or none"""
        return self._many(call, upsert=True)

    def create_many(self, call: Call) -> Answer:
        """POST of the same"""
        return self._many(call, upsert=False)

    def change(self, call: Call) -> Answer:
        """PATCH /v1/milestones/ID: only the fields that are sent"""
        record, doc = self._held(call)
        body = as_object(call.body)
        call.keys.append(str(doc["external_id"]))
        rules.changeable(record, doc)
        fields = checked(record, body, partly=True, held=doc)
        changed = self._with_customer(record, {**doc, **fields}, body)
        rules.check(self.store, record, changed, self._project_of(doc) if record.part else None)
        self.store.put(record.kind, changed)
        self._watch(changed)
        return Answer(200, changed)

    def relabel(self, call: Call) -> Answer:
        """POST /v1/milestones/ID/relabel: it bears this external id from now on"""
        record, doc = self._held(call)
        key = key_of(as_object(call.body))
        call.keys.append(key)
        project = self._project_of(doc) if record.part else None
        held = self._live(record, key, project) if self.unique_keys else None
        if held is not None and held["id"] != doc["id"]:
            raise Problem(409, "duplicate_external_id", f"{record.kind} {key} exists already: {held['id']}")
        return Answer(200, self.store.put(record.kind, {**doc, "external_id": key}))

    def delete(self, call: Call) -> Answer:
        """DELETE /v1/milestones/ID"""
        record, doc = self._held(call)
        call.keys.append(str(doc["external_id"]))
        rules.unbilled(record, doc)
        if record.kind == "customer" and any(p["customer_id"] == doc["id"] for p in self.store.all("project")):
            raise Problem(409, "in_use", f"customer {doc['external_id']} has projects and cannot be deleted")
        self.store.drop(record.kind, str(doc["id"]))
        return Answer(204, None)

    def activate(self, call: Call) -> Answer:
        """POST /v1/projects/ID/activate: from now on it is billed"""
        _, project = self._held(call)
        call.keys.append(str(project["external_id"]))
        if project["status"] == "active":
            return Answer(200, project)
        rules.activation(self.store, project, self.today())
        project = self.store.put("project", {**project, "status": "active"})
        self._watch(project)
        return Answer(200, project)

    def hold(self, call: Call) -> Answer:
        """POST /v1/projects/ID/hold: back to setup, nothing more is billed"""
        _, project = self._held(call)
        call.keys.append(str(project["external_id"]))
        if project["status"] == "closed":
            raise Problem(409, "project_closed", f"project {project['id']} is closed")
        return Answer(200, self.store.put("project", {**project, "status": "setup"}))

    def close(self, call: Call) -> Answer:
        """POST /v1/projects/ID/close: unbilled parts go, invoiced ones stay for the books"""
        _, project = self._held(call)
        call.keys.append(str(project["external_id"]))
        self.billing.close(str(project["id"]))
        for record in PARTS:
            for part in self.store.parts(record.kind, str(project["id"])):
                if not part.get("billed"):
                    self.store.drop(record.kind, str(part["id"]))
        return Answer(200, self.store.put("project", {**project, "status": "closed"}))

    def read_one(self, call: Call) -> Answer:
        _, doc = self._held(call)
        return Answer(200, doc)

    def read_many(self, call: Call) -> Answer:
        """GET /v1/projects?external_id=&cursor=, GET /v1/projects/ID/milestones"""
        if call.sub:
            project, record = self._parent(call), BY_PATH[call.sub]
            return self._page(call, self.parts(record.kind, str(project["id"])))
        kind, key = BY_PATH[call.collection].kind, call.one("external_id")
        return self._page(call, self.store.by_key(kind, key) if key else list(self.store.all(kind)))

    def parts(self, kind: str, project_id: str) -> Sequence[Mapping[str, object]]:
        """Rates with what is invoiced of the hours of their days."""
        if kind == "labour_rate":
            return hours.told(self.store, project_id, self.today())
        return self.store.parts(kind, project_id)

    def financials(self, call: Call) -> Answer:
        """GET /v1/financials?cursor=: invoices, payments and disputes in the order in which they happened"""
        begin, limit = self._window(call)
        last = min(begin + limit, self.store.count("fact"))
        rows = [self.store.get("fact", str(number)) for number in range(begin + 1, last + 1)]
        return Answer(200, {"items": rows, "cursor": str(last), "more": last < self.store.count("fact")})

    def revenue_postings(self, call: Call) -> Answer:
        """GET /v1/revenue-postings?cursor=, or ?changed_since=2026-10-01: in the order in which they were posted"""
        if not self.names.ledger:
            raise not_found("a ledger of revenue")
        begin, limit = self._window(call)
        if since := call.one("changed_since"):
            try:
                begin = max(begin, revenue.before(self.store, date.fromisoformat(since)))
            except ValueError as error:
                raise invalid("invalid_field", "changed_since must be a date such as 2026-12-31") from error
        rows = revenue.page(self.store, begin, limit)
        last = begin + len(rows)
        return Answer(200, {"items": rows, "cursor": str(last), "more": last < self.store.count(revenue.KIND)})

    def me(self, _call: Call) -> Answer:
        about = {"product": "sandbox-cloud", "version": self.release, "api": API}
        return Answer(200, {**about, "unique_keys": self.unique_keys})

    def fields(self, _call: Call) -> Answer:
        """GET /v1/fields: what the records of this release hold, for an integration to look before it writes"""
        return Answer(200, {**self.names.described(), "version": self.release})

    def _many(self, call: Call, *, upsert: bool) -> Answer:
        record = BY_PATH[call.sub or call.collection]
        project = self._parent(call) if call.sub else None
        items = as_object(call.body).get("items")
        if not isinstance(items, list) or len(items) > MOST_ITEMS:
            raise invalid("too_many_items", f"items must be a list of at most {MOST_ITEMS} records")
        saved = [self._save(record, as_object(item), call, upsert=upsert, project=project) for item in items]
        rows = [{"id": doc["id"], "external_id": doc["external_id"], "created": created} for doc, created in saved]
        return Answer(200, {"items": rows})

    def _save(
        self, record: RecordType, body: dict[str, object], call: Call, *, upsert: bool, project: Doc | None = None
    ) -> tuple[Doc, bool]:
        if upsert and not self.unique_keys:
            raise Problem(405, "no_upsert", "external ids are not unique here; create with POST")
        key = key_of(body)
        call.keys.append(key)
        held = self._live(record, key, project) if self.unique_keys else None
        if held is not None:
            if not upsert:
                raise Problem(409, "duplicate_external_id", f"{record.kind} {key} exists already: {held['id']}")
            if call.one("on_existing") == "keep":
                return held, False
            rules.changeable(record, held)
        fields = checked(record, body, partly=False)
        base = held or {"id": self.store.next_id(record.prefix), "external_id": key, **_born(record, project)}
        doc = self._with_customer(record, {**base, **fields}, body)
        rules.check(self.store, record, doc, project)
        self.store.put(record.kind, doc)
        self._watch(doc)
        return doc, held is None

    def _live(self, record: RecordType, key: str, project: Doc | None) -> Doc | None:
        """The record that has the key: within its project for a part; a closed project gave its key up."""
        for doc in self.store.by_key(record.kind, key):
            if doc.get("status") != "closed" and (project is None or doc["project_id"] == project["id"]):
                return doc
        return None

    def _with_customer(self, record: RecordType, doc: Doc, body: Mapping[str, object]) -> Doc:
        if record.kind != "project":
            return doc
        if isinstance(body.get("customer_id"), str):
            return {**doc, "customer_id": str(body["customer_id"])}
        if "customer_code" in body:
            first = next(iter(self.store.by_key("customer", str(doc["customer_code"]))), None)
            return {**doc, "customer_id": first["id"] if first else None}
        return doc

    def _watch(self, doc: Doc) -> None:
        project = self._project_of(doc) if "project_id" in doc else doc
        if "billing_method" in project:
            self.billing.watch(project)

    def _held(self, call: Call) -> tuple[RecordType, Doc]:
        record = BY_PATH[call.collection]
        doc = self._live(record, call.ident, None) if call.external else self.store.get(record.kind, call.ident)
        if doc is None:
            raise not_found(f"{record.kind} {call.ident}")
        return record, doc

    def _parent(self, call: Call) -> Doc:
        return self._held(Call("GET", "projects", call.ident, call.external, "", {}))[1]

    def _project_of(self, part: Doc) -> Doc:
        project = self.store.get("project", str(part["project_id"]))
        if project is None:
            raise not_found(f"project {part['project_id']}")
        return project

    def _window(self, call: Call) -> tuple[int, int]:
        begin, limit = call.one("cursor", "0"), call.one("limit", str(_MOST_ROWS))
        if not (begin.isascii() and begin.isdigit() and limit.isascii() and limit.isdigit() and int(limit)):
            raise Problem(400, "invalid_cursor", "cursor and limit must be what an earlier page gave, or absent")
        return int(begin), min(int(limit), _MOST_ROWS)

    def _page(self, call: Call, docs: Sequence[Mapping[str, object]]) -> Answer:
        begin, limit = self._window(call)
        more = begin + limit < len(docs)
        last = str(min(begin + limit, len(docs)))
        return Answer(200, {"items": docs[begin : begin + limit], "cursor": last, "more": more})


def _born(record: RecordType, project: Doc | None) -> Doc:
    if record.kind == "project":
        return {"status": "setup"}
    return {"project_id": project["id"], "billed": False} if project else {}


def kind_at(call: Call) -> str:
    """The kind of record that a request is about."""
    record = BY_PATH.get(call.sub) or BY_PATH.get(call.collection)
    return record.kind if record else call.collection
