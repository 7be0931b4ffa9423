"""GET /v1/provisioning/KEY: one read that shows an integration all it needs about one contract.

References that a project would need, and all records under the keys asked for, doubles and closed ones included.
"""

from app.sandbox.cloud import hours
from app.sandbox.cloud.api import Answer, Api, Call
from app.sandbox.cloud.masterdata import period_open
from app.sandbox.cloud.records import PARTS, Doc


def read(api: Api, call: Call) -> Answer:
    store = api.store
    customers = store.by_key("customer", call.one("customer"))
    categories = [
        doc for code in call.query.get("labour_category", ()) for doc in store.by_key("labour_category", code)
    ]
    projects = [_with_parts(api, project) for project in store.by_key("project", call.ident)]
    body = {
        "references": _references(api, call, customers),
        "customers": customers,
        "labour_categories": categories,
        "projects": projects,
    }
    return Answer(200, body)


def _with_parts(api: Api, project: Doc) -> dict[str, object]:
    ident = str(project["id"])
    parts: dict[str, object] = {record.path: api.parts(record.kind, ident) for record in PARTS}
    return {**project, **parts, "unbilled_hours_value": str(hours.open_value(api.store, ident))}


def _references(api: Api, call: Call, customers: list[Doc]) -> dict[str, object]:
    store, code, tax = api.store, call.one("legal_entity"), call.one("tax_code")
    entity = store.get("legal_entity", code)
    wanted = call.query.get("revenue_category", ())
    return {
        "legal_entity": entity,
        "tax_profile": not tax or store.get("tax_code", f"{code}/{tax}") is not None,
        "customer_tax_profile": not tax or all(doc["tax_registration"] is not None for doc in customers),
        "payment_terms": store.get("payment_terms", call.one("payment_terms")) is not None,
        "missing_revenue_categories": [name for name in wanted if store.get("revenue_category", name) is None],
        "open_period": period_open(store, code, api.today()),
    }
