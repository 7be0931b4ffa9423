"""Master data as the sandbox cloud ERP takes it (app/sandbox/cloud/masterdata.py has the shape)."""

from collections.abc import Mapping, Sequence

from app.sandbox.cloud import masterdata
from app.sandbox.cloud.store import Store
from app.sandbox.master_data import CustomerRecord, MasterData, MasterDataFix, PutCustomer

Rows = Mapping[str, Sequence[Mapping[str, str | None]]]


def fill(store: Store, books: MasterData) -> None:
    """Everything that contracts of the estate may refer to. Putting it again changes nothing."""
    masterdata.put(store, _rows(books))
    store.commit()


def mend(store: Store, fix: MasterDataFix) -> None:
    """What someone in master data or finance does while the demo runs."""
    masterdata.put(store, _fix(fix))
    store.commit()


def _rows(books: MasterData) -> Rows:
    return {
        "legal_entities": [{"code": e.code, "name": e.name, "currency": e.currency} for e in books.entities],
        "tax_codes": [
            {"legal_entity": t.legal_entity, "code": t.code, "rate": str(t.rate * 100)} for t in books.tax_codes
        ],
        "payment_terms": [{"code": p.code, "days": str(p.days)} for p in books.payment_terms],
        "revenue_categories": [{"code": c.code, "account": c.account} for c in books.revenue_categories],
        "labour_categories": [
            {"code": c.code, "name": c.name, "revenue_category": c.revenue_category} for c in books.labour_categories
        ],
        "customers": [customer_row(c) for c in books.customers],
    }


def _fix(fix: MasterDataFix) -> Rows:
    if isinstance(fix, PutCustomer):
        return {"customers": [customer_row(fix.customer)]}
    status = "open" if fix.open else "closed"
    return {"periods": [{"legal_entity": fix.legal_entity, "period": f"{fix.month:%Y-%m}", "status": status}]}


def customer_row(customer: CustomerRecord) -> Mapping[str, str | None]:
    """Alike in both sandbox ERPs."""
    registered = (customer.tax_id or customer.code) if customer.tax_profile else None
    return {"code": customer.code, "name": customer.name, "country": customer.country, "tax_registration": registered}
