"""Posting one group of records: all of it or nothing. What the ERP insists on, each refusal with its code.

Documents are never changed but reversed and posted again. No key is unique: the same record twice is two documents.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from app.sandbox.cloud.billing import Billing
from app.sandbox.cloud.masterdata import period_open
from app.sandbox.cloud.records import Doc
from app.sandbox.cloud.store import Store
from sync_core.connectors.erp.sandbox_legacy.layout import Record
from sync_core.money import exponent

KINDS = {"20": "customer", "21": "labour_category", "30": "project", "31": "contract_line", "32": "milestone",
         "33": "labour_rate"}  # fmt: skip
METHODS = {"F": "fixed_fee", "T": "time_and_materials"}
_PREFIX = {"20": "K", "21": "L", "30": "A", "31": "P", "32": "M", "33": "S"}


class Refused(Exception):
    """A record that cannot be posted, so its whole group is not."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


@dataclass(frozen=True, slots=True)
class Row:
    """The answer to one record: P posted, X refused, H held back because another one of its group was refused."""

    answer: str
    code: str = "000"
    words: str = ""
    document: str = ""


@dataclass(slots=True)
class Posting:
    """One group in work."""

    store: Store
    billing: Billing
    today: date
    made: dict[tuple[str, str], str] = field(default_factory=dict)  # documents of this group, by type and key
    reversed: dict[str, Doc] = field(default_factory=dict)  # orders that are to be posted again
    ended: dict[str, Doc] = field(default_factory=dict)  # rates likewise
    touched: set[str] = field(default_factory=set)

    def post(self, records: Sequence[Record]) -> list[Row]:
        rows: list[Row] = []
        try:
            rows.extend(Row("P", document=self._one(record)) for record in records)
            for key in self.reversed:
                raise Refused("O07", f"order {key} was reversed and not posted again")
        except Refused as refused:
            self.store.rollback()
            at = min(len(rows), len(records) - 1)
            held = Row("H", "G00", "another record of its group was refused")
            return [Row("X", refused.code, refused.words) if n == at else held for n in range(len(records))]
        self.store.commit()
        for order in self.touched:
            found = self.store.get("project", order)
            if found is not None:
                self.billing.watch(found)
        return rows

    def _one(self, record: Record) -> str:
        kind = record["type"]
        work: Mapping[tuple[str, str], Callable[[Record], str]] = {
            ("P", "20"): self._customer, ("P", "21"): self._labour, ("P", "30"): self._order,
            ("P", "31"): self._part, ("P", "32"): self._part, ("P", "33"): self._part,
            ("R", "30"): self._reverse_order, ("R", "31"): self._reverse, ("R", "32"): self._reverse,
            ("R", "33"): self._reverse, ("E", "33"): self._end_rate, ("E", "30"): self._end_order,
            ("A", "30"): self._release, ("K", "30"): self._rename, ("K", "31"): self._rename,
            ("K", "32"): self._rename, ("K", "33"): self._rename,
        }  # fmt: skip
        todo = work.get((record["action"], kind))
        if todo is None:
            raise Refused("F01", f"action {record['action']!r} on a record of type {kind} is unknown")
        return todo(record)

    # ---- posting ---------------------------------------------------------------------------------------------

    def _put(self, record: Record, values: Doc) -> str:
        kind = record["type"]
        if not record["key"]:
            raise Refused("F02", f"a record of type {kind} without a key")
        document = self.store.next_id(_PREFIX[kind])
        self.store.put(KINDS[kind], {"id": document, "external_id": record["key"], **values})
        self.made[kind, record["key"]] = document
        return document

    def _customer(self, record: Record) -> str:
        named = {"name": record["name"], "country": record["country"] or None}
        return self._put(record, {**named, "tax_registration": record["tax_id"] or None})

    def _labour(self, record: Record) -> str:
        self._category(record)
        return self._put(record, {"name": record["name"], "revenue_category": record["category"]})

    def _order(self, record: Record) -> str:
        entity, tax = record["entity"], record["tax"] or None
        if self.store.get("legal_entity", entity) is None:
            raise Refused("E01", f"company {entity} is unknown")
        customers = self.store.by_key("customer", record["customer"])
        if not customers:
            raise Refused("C01", f"customer {record['customer']} is unknown")
        if self.store.get("payment_terms", record["terms"]) is None:
            raise Refused("T01", f"terms {record['terms']} are unknown")
        if tax and self.store.get("tax_code", f"{entity}/{tax}") is None:
            raise Refused("T02", f"tax code {tax} is unknown in company {entity}")
        if record["method"] not in METHODS:
            raise Refused("F03", f"billing method {record['method']!r} is unknown")
        iso = self._currency(record)
        limit = str(_major(record["limit"], iso)) if record["limit"] else None
        before = self.reversed.pop(record["key"], None)
        order = self._put(record, {
            "name": record["name"], "legal_entity": entity, "customer_code": record["customer"],
            "customer_id": str(customers[0]["id"]), "billing_method": METHODS[record["method"]], "currency": iso,
            "contract_value": str(_major(record["value"], iso)), "start_date": _day(record["starts"]),
            "end_date": _day(record["ends"]) if record["ends"] else None, "payment_terms": record["terms"],
            "tax_code": tax, "purchase_order": record["po"] or None, "not_to_exceed": limit,
            "status": "setup",
        })  # fmt: skip
        if before is not None:
            self._take_over(order, before, record)
        self.touched.add(order)
        return order

    def _take_over(self, order: str, before: Doc, record: Record) -> None:
        """Parts and what was billed go with the order that is posted again; so does its release, unless it says."""
        status = "setup" if record["released"] == "N" else before["status"]
        kept: Doc = {name: before[name] for name in ("billed", "billed_amount") if name in before}
        doc = self.store.get("project", order) or {}
        self.store.put("project", {**doc, **kept, "status": status})
        for kind in ("contract_line", "milestone", "labour_rate"):
            for part in self.store.parts(kind, str(before["id"])):
                self.store.put(kind, {**part, "project_id": order})

    def _part(self, record: Record) -> str:
        order, kind = self._order_of(record), record["type"]
        iso = self._currency(record)
        if iso != order["currency"]:
            raise Refused("W02", f"order {order['external_id']} is in another currency")
        self._category(record)
        amount = str(_major(record["amount"], iso))
        values: Doc = {"project_id": order["id"], "billed": False, "currency": iso,
                       "revenue_category": record["category"]}  # fmt: skip
        if kind == "31":
            values |= {"description": record["name"], "amount": amount, "recognition": record["recognition"],
                       "revenue_account": record["account"]}  # fmt: skip
        elif kind == "32":
            day = _day(record["bill_on"])
            if not period_open(self.store, str(order["legal_entity"]), date.fromisoformat(day)):
                raise Refused("P01", f"period {day[:7]} of company {order['legal_entity']} is closed")
            values |= {"name": record["name"], "amount": amount, "bill_date": day}
        else:
            values |= self._rate(record, amount)
        self.touched.add(str(order["id"]))
        return self._put(record, values)

    def _rate(self, record: Record, amount: str) -> Doc:
        if not self.store.by_key("labour_category", record["labour"]):
            raise Refused("L01", f"labour category {record['labour']} is unknown")
        before = self.ended.pop(record["key"], None)
        booked = {"booked_hours": before["booked_hours"]} if before else {}
        hours = str(Decimal(record["hours"] or "0").scaleb(-2))
        return {"name": record["name"], "labour_category": record["labour"], "hourly_rate": amount,
                "planned_hours": hours, **booked}  # fmt: skip

    # ---- reversing, ending, releasing ------------------------------------------------------------------------

    def _reverse_order(self, record: Record) -> str:
        doc = self.store.get("project", record["document"])
        if doc is None or doc["status"] in ("closed", "reversed"):
            raise Refused("O01", f"order document {record['document']} is not open")
        self.reversed[str(doc["external_id"])] = doc
        self.store.put("project", {**doc, "status": "reversed"})
        return record["document"]

    def _reverse(self, record: Record) -> str:
        kind = KINDS[record["type"]]
        doc = self.store.get(kind, record["document"])
        if doc is not None and doc.get("billed"):
            raise Refused("B01", f"document {record['document']} is billed and cannot be reversed")
        if doc is not None:
            self.store.drop(kind, record["document"])
        return record["document"]

    def _rename(self, record: Record) -> str:
        """Another key of the sender's on a document, billed or not: the only thing of one that can be changed."""
        doc = self.store.get(KINDS[record["type"]], record["document"])
        if doc is None or doc.get("status") in ("closed", "reversed", "ended"):
            raise Refused("O01", f"document {record['document']} is not open")
        if not record["key"]:
            raise Refused("F02", f"a record of type {record['type']} without a key")
        self.store.put(KINDS[record["type"]], {**doc, "external_id": record["key"]})
        return record["document"]

    def _end_rate(self, record: Record) -> str:
        """No more hours on it; what was billed stays. A rate for the same key that follows goes on counting."""
        doc = self.store.get("labour_rate", record["document"])
        if doc is None:
            raise Refused("L02", f"rate document {record['document']} does not exist")
        booked = str(doc.get("booked_hours", "0"))
        self.store.put("labour_rate", {**doc, "planned_hours": booked, "status": "ended"})
        self.ended[str(doc["external_id"])] = {**doc, "booked_hours": booked}
        return record["document"]

    def _end_order(self, record: Record) -> str:
        doc = self.store.get("project", record["document"])
        if doc is None:
            raise Refused("O01", f"order document {record['document']} does not exist")
        for kind in ("contract_line", "milestone", "labour_rate"):
            for part in self.store.parts(kind, record["document"]):
                if not part.get("billed"):
                    self.store.drop(kind, str(part["id"]))
        self.store.put("project", {**doc, "status": "closed"})
        return record["document"]

    def _release(self, record: Record) -> str:
        doc = self._order_of({**record, "order": record["key"], "order_document": record["document"]})
        entity, tax = str(doc["legal_entity"]), doc["tax_code"]
        if not period_open(self.store, entity, self.today):
            raise Refused("P01", f"period {self.today:%Y-%m} of company {entity} is closed")
        customer = self.store.get("customer", str(doc["customer_id"]))
        if tax is not None and (customer is None or customer["tax_registration"] is None):
            raise Refused("C02", f"customer {doc['customer_code']} has no tax registration for tax code {tax}")
        self.store.put("project", {**doc, "status": "active"})
        self.touched.add(str(doc["id"]))
        return str(doc["id"])

    # ---- what is referred to ---------------------------------------------------------------------------------

    def _order_of(self, record: Record) -> Doc:
        """The document that is named, else the order of this group, else the only open one of the key."""
        key = record["order"]
        document = record["order_document"] or self.made.get(("30", key), "")
        if document:
            found = [doc for doc in [self.store.get("project", document)] if doc is not None]
        else:
            found = list(self.store.by_key("project", key))
        live = [doc for doc in found if doc["status"] in ("setup", "active")]
        if len(live) != 1:
            raise Refused("O02" if live else "O01", f"order {document or key}: {len(live)} are open")
        return live[0]

    def _category(self, record: Record) -> None:
        if self.store.get("revenue_category", record["category"]) is None:
            raise Refused("R01", f"revenue category {record['category']} is unknown")

    def _currency(self, record: Record) -> str:
        found = self.store.get("currency", record["currency"])
        if found is None:
            raise Refused("W01", f"currency {record['currency']} is unknown")
        return str(found["iso"])


def _major(minor: str, iso: str) -> Decimal:
    return Decimal(minor or "0").scaleb(-exponent(iso))


def _day(text: str) -> str:
    try:
        return date.fromisoformat(f"{text[:4]}-{text[4:6]}-{text[6:]}").isoformat()
    except ValueError as wrong:
        raise Refused("F04", f"{text!r} is no day") from wrong
