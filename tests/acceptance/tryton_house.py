"""A firm that bills from a real Tryton, as an estate file says it, and contracts of both kinds for it."""

from app.sandbox.tryton_server import TrytonEndpoint
from tests.sows import milestone_terms, tm_terms

_ESTATE = """
[group]
name = "Northwind Services"
reporting_currency = "USD"

[[clm]]
name = "clm"
source = "urn:test:clm"
kind = "sandbox"
secret_env = ["FIRM_WEBHOOK"]

[[erp]]
name = "tryton"
kind = "tryton"
url = "{url}"
user = "{user}"
secret_env = "FIRM_ERP"
max_in_flight = 4
timeout_s = 10
options = {{ settle_s = "{settle_s}", customers_without_tax_rule = "{untaxed}" }}

[[entity]]
code = "LE-US-01"
name = "Northwind Services LLC"
country = "US"
currency = "USD"
timezone = "America/Los_Angeles"
erp = "tryton"
create_customers = {create_customers}

[[entity]]
code = "{new_entity}"
name = "Northwind, with a code that Tryton does not know yet"
country = "US"
currency = "USD"
timezone = "America/Los_Angeles"
erp = "tryton"

[[revenue]]
recognition = "point_in_time"
account = "4.1.2"
category = "MILESTONE-POINT-IN-TIME"
billing = "milestones"

[[revenue]]
recognition = "over_time"
account = "4.2.2"
category = "TM-OVER-TIME"
billing = "time_and_materials"
"""
ACME = {"code": "CUST-ACME", "name": "Acme Corporation", "tax_id": "94-1234567", "country": "US"}
RATES = [
    {"category": "SR-CONSULTANT", "name": "Senior", "rate": "240.00", "planned_hours": "120.5", "line": "1"},
    {"category": "CONSULTANT", "name": "Consultant", "rate": "160.55", "planned_hours": "80", "line": "1"},
]


def estate(at: TrytonEndpoint, *, new_entity: str, create_customers: bool = False, settle_s: float = 0.5) -> str:
    """With a second entity whose code Tryton does not know yet. Customers that are made have no tax rule of theirs."""
    return _ESTATE.format(
        url=f"{at.base_url}/{at.database}",
        user=at.login,
        new_entity=new_entity,
        create_customers=str(create_customers).lower(),
        settle_s=settle_s,
        untaxed="category-tax" if create_customers else "refuse",
    )


def fixed_fee(**changes: object) -> dict[str, object]:
    return milestone_terms(**{"legal_entity": "LE-US-01", "customer": ACME, **changes})


def by_the_hour(**changes: object) -> dict[str, object]:
    return tm_terms(**{"legal_entity": "LE-US-01", "customer": ACME, "rates": RATES, **changes})
