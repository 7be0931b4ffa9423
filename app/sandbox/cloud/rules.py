"""What the ERP insists on: references that exist, open periods, and that nothing invoiced is changed."""

from datetime import date

from app.sandbox.cloud.masterdata import period_open
from app.sandbox.cloud.problems import Problem, invalid
from app.sandbox.cloud.records import Doc, RecordType
from app.sandbox.cloud.store import Store


def check(store: Store, record: RecordType, doc: Doc, project: Doc | None) -> None:
    """Raises the Problem that keeps `doc` from being stored. `project` holds it, if it is a part."""
    if record.kind == "project":
        _project(store, doc)
    if "revenue_category" in doc and store.get("revenue_category", str(doc["revenue_category"])) is None:
        raise invalid("unknown_revenue_category", f"revenue category {doc['revenue_category']} is not set up")
    if project is not None:
        _part(store, record, doc, project)


def changeable(record: RecordType, doc: Doc) -> None:
    """A rate and a line price what is billed from now on; an invoiced milestone has nothing left to bill."""
    if record.kind == "milestone":
        unbilled(record, doc)


def unbilled(record: RecordType, doc: Doc) -> None:
    if record.part and doc.get("billed"):
        words = f"{record.kind} {doc['external_id']} is already invoiced and cannot be changed or deleted"
        raise Problem(409, "already_billed", words)


def activation(store: Store, project: Doc, today: date) -> None:
    entity = str(project["legal_entity"])
    if project["status"] == "closed":
        raise Problem(409, "project_closed", f"project {project['id']} is closed")
    if not period_open(store, entity, today):
        raise invalid("period_closed", f"The accounting period {today:%Y-%m} of {entity} is closed.")
    customer = store.get("customer", str(project["customer_id"]))
    if project["tax_code"] is not None and (customer is None or customer["tax_registration"] is None):
        words = (
            f"Customer {project['customer_code']} has no tax registration, so tax {project['tax_code']} cannot apply."
        )
        raise invalid("tax_registration_missing", words)


def _project(store: Store, doc: Doc) -> None:
    entity = str(doc["legal_entity"])
    if store.get("legal_entity", entity) is None:
        raise invalid("unknown_legal_entity", f"legal entity {entity} is not set up")
    if store.get("payment_terms", str(doc["payment_terms"])) is None:
        raise invalid("unknown_payment_terms", f"payment terms {doc['payment_terms']} are not set up")
    if doc["tax_code"] is not None and store.get("tax_code", f"{entity}/{doc['tax_code']}") is None:
        raise invalid("unknown_tax_code", f"tax code {doc['tax_code']} is not set up for {entity}")
    customer = store.get("customer", str(doc["customer_id"]))
    if customer is None or customer["external_id"] != doc["customer_code"]:
        raise invalid("unknown_customer", f"customer {doc['customer_code']} does not exist")
    if doc["end_date"] is not None and str(doc["end_date"]) < str(doc["start_date"]):
        raise invalid("invalid_dates", "end_date lies before start_date")


def _part(store: Store, record: RecordType, doc: Doc, project: Doc) -> None:
    if project["status"] == "closed":
        raise Problem(409, "project_closed", f"project {project['id']} is closed")
    if doc["currency"] != project["currency"]:
        raise invalid("currency_mismatch", f"project {project['id']} is in {project['currency']}")
    if record.kind == "labour_rate" and not store.by_key("labour_category", str(doc["labour_category"])):
        raise invalid("unknown_labour_category", f"labour category {doc['labour_category']} does not exist")
    if record.kind == "milestone":
        bills_on, entity = date.fromisoformat(str(doc["bill_date"])), str(project["legal_entity"])
        if not period_open(store, entity, bills_on):
            raise invalid("period_closed", f"The accounting period {bills_on:%Y-%m} of {entity} is closed.")
