"""/_sandbox/...: what a test or the demo does to the ERP behind its customers' backs.

POST master, master/remove    add or remove master data (masterdata.py has the shape)
POST faults, DELETE faults    set one fault (faults.py), clear all
GET counters, GET log         writes per record; every write request received, answered or not
GET objects?kind=project      all records of a kind
PATCH objects                 {"kind", "id", "fields"}: someone edits a record by hand
POST advance                  {"through": "2026-12-31"}: run the bill runs up to that night
POST settle                   {"milestone", "amount": "-200.00"}: finance credits, or bills besides, what was invoiced
POST settle                   {"rate", "price": "260.00"}: the same of the invoiced hours of a rate's days
POST hours                    {"project", "labour_category", "day", "hours": "7.5"}: somebody books hours
POST tokens/revoke            every token ends now
POST upgrade                  {"release": "2026.4.0", "renames": {"project": {"purchase_order": "po_reference"}}}
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal

from app.sandbox.cloud import masterdata
from app.sandbox.cloud.api import Answer, Api
from app.sandbox.cloud.billing import Billing
from app.sandbox.cloud.faults import Faults, fault_of
from app.sandbox.cloud.ledger import Ledger
from app.sandbox.cloud.problems import Problem, invalid, not_found
from app.sandbox.cloud.records import Doc, as_object, number
from app.sandbox.cloud.store import Store
from app.sandbox.cloud.tokens import Tokens
from app.sandbox.cloud.upgrade import API, renamed_of


@dataclass(frozen=True, slots=True)
class Admin:
    store: Store
    billing: Billing
    faults: Faults
    ledger: Ledger
    tokens: Tokens
    api: Api

    def handle(self, method: str, path: str, query: Mapping[str, list[str]], body: object) -> Answer:
        actions: Mapping[tuple[str, str], Callable[[], object]] = {
            ("POST", "master"): lambda: self._master(masterdata.put, body),
            ("POST", "master/remove"): lambda: self._master(masterdata.remove, body),
            ("POST", "faults"): lambda: self.faults.add(fault_of(as_object(body))),
            ("DELETE", "faults"): self.faults.clear,
            ("GET", "counters"): lambda: {"counters": self.ledger.listing()},
            ("GET", "log"): lambda: {"writes": [asdict(request) for request in self.ledger.requests]},
            ("GET", "objects"): lambda: {"items": list(self.store.all(query.get("kind", ["project"])[0]))},
            ("PATCH", "objects"): lambda: self._edit(as_object(body)),
            ("POST", "advance"): lambda: self._advance(as_object(body)),
            ("POST", "settle"): lambda: self._settle(as_object(body)),
            ("POST", "hours"): lambda: self._book(as_object(body)),
            ("POST", "tokens/revoke"): self.tokens.revoke_all,
            ("POST", "upgrade"): lambda: self._upgrade(as_object(body)),
        }
        action = actions.get((method, path))
        if action is None:
            raise Problem(404, "not_found", f"{method} /_sandbox/{path} is none of this sandbox's admin calls")
        return Answer(200, action() or {})

    def _master(self, change: Callable[[Store, Mapping[str, object]], None], body: object) -> None:
        change(self.store, as_object(body))
        self.store.commit()

    def _edit(self, body: Mapping[str, object]) -> Doc:
        kind, ident = str(body.get("kind")), str(body.get("id"))
        doc = self.store.get(kind, ident)
        if doc is None:
            raise not_found(f"{kind} {ident}")
        edited: Doc = {name: str(value) for name, value in as_object(body.get("fields")).items()}
        self.store.put(kind, {**doc, **edited})
        self.store.commit()
        return {**doc, **edited}

    def _upgrade(self, body: Mapping[str, object]) -> dict[str, str]:
        """Also to the release of before: names that are not given are those of v1."""
        self.api.names.renamed = renamed_of(as_object(body.get("renames", {})))
        self.api.release, self.api.names.api = str(body.get("release")), str(body.get("api", API))
        return {"release": self.api.release}

    def _book(self, body: Mapping[str, object]) -> Doc:
        project = self.store.get("project", str(body.get("project")))
        if project is None:
            raise not_found(f"project {body.get('project')}")
        try:
            worked, worked_on = Decimal(number(body.get("hours"))), date.fromisoformat(str(body.get("day")))
        except ValueError as error:
            raise invalid("invalid_field", f"hours or day is wrong: {error}") from error
        return self.billing.book(project, str(body.get("labour_category")), worked_on, worked)

    def _reprice(self, body: Mapping[str, object]) -> Doc:
        ident = str(body.get("rate"))
        try:
            priced = self.billing.reprice(ident, Decimal(number(body.get("price"))))
        except ValueError as error:
            raise invalid("invalid_field", f"price must be {error}") from error
        if priced is None:
            raise not_found(f"a rate {ident}")
        return priced

    def _settle(self, body: Mapping[str, object]) -> Doc:
        if "rate" in body:
            return self._reprice(body)
        ident = str(body.get("milestone"))
        try:
            amount = Decimal(number(body.get("amount")))
        except ValueError as error:
            raise invalid("invalid_field", f"amount must be {error}") from error
        settled = self.billing.settle(ident, amount)
        if settled is None:
            raise not_found(f"an invoiced milestone {ident}")
        return settled

    def _advance(self, body: Mapping[str, object]) -> dict[str, str]:
        try:
            self.billing.advance(date.fromisoformat(str(body.get("through"))))
        except ValueError as error:
            raise invalid("invalid_field", "through must be a date such as 2026-12-31") from error
        return {"through": self.billing.through.isoformat()}
