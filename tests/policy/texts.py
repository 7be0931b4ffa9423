"""Policies for tests, over an estate with two ERPs."""

from sync_core.estate.estate import Estate, load
from tests.sows import ESTATE_TOML

TWO_ERPS = (
    ESTATE_TOML
    + """
[[erp]]
name = "books"
kind = "sandbox_cloud"

[[owner]]
function = "finance_operations"
name = "Finance"
email = "finance@example.test"

[[owner]]
function = "tax"
name = "Tax"
email = "tax@example.test"

[[approval]]
name = "Large contracts"
from_amount = 100000

[[approval]]
name = "Large in the UK"
from_amount = 50000
legal_entity = "GB01"
"""
)

POLICY = """
[[route]]
name = "Tax work"
service_line = "tax"
erp = "books"

[[route]]
name = "Large dollars"
currency = "USD"
from_value = 500000
erp = "books"

[[route]]
name = "UK tax work"
service_line = "tax"
legal_entity = "GB01"
erp = "cloud"

[[tax]]
name = "UK standard"
legal_entity = "GB01"
tax_code = "GB-STD"

[[bill_calendar]]
name = "UK on the tenth"
legal_entity = "GB01"
bill_runs = [10]

[[approval]]
name = "Audit work"
service_line = ["audit", "assurance"]
from_amount = 10000
function = "tax"

[[approval]]
name = "Audit work, large"
service_line = ["audit", "assurance"]
from_amount = 90000

[[owner]]
name = "Orders are tax's"
cause = "po_missing"
function = "tax"
sla_working_hours = 4

[[owner]]
name = "Everything of the UK within a day"
legal_entity = "GB01"
sla_working_hours = 8

[[mandatory]]
name = "Time and materials end"
billing = "time_and_materials"
fields = ["ends_on", "po_number"]

[[mandatory]]
name = "UK without orders"
legal_entity = "GB01"
fields = ["customer.tax_id"]
"""


def plain() -> Estate:
    return load(TWO_ERPS)


def ruled(policy: str = POLICY) -> Estate:
    return load(TWO_ERPS, policy)
