"""A firm whose only legal entity bills from sandbox-legacy, all of it said in an estate file of the test's.

Its country, its currency, its tax regime and its old ERP occur nowhere else.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

import httpx
import orjson

from tests.acceptance.cloud_firm import ADMIN_TOKEN, ERP_SECRET
from tests.acceptance.processes import House, Process
from tests.sows import SOURCE, milestone_terms, tm_terms

_ESTATE = """
[group]
name = "Test Partners"
reporting_currency = "USD"

[[clm]]
name = "clm"
source = "{source}"
kind = "sandbox"
secret_env = ["FIRM_WEBHOOK"]

[[erp]]
name = "mainframe"
kind = "sandbox_legacy"
url = "{url}"
user = "tieline"
secret_env = "FIRM_ERP"
max_in_flight = 4
timeout_s = 3

[erp.options]
zone = "UTC"
opens = "{opens:%H:%M:%S}"
closes = "{closes:%H:%M:%S}"
answers = "{answers:%H:%M:%S}"
settle_s = "4"
"entity.IS01" = "3540"
"currency.ISK" = "352"
"tax.VSK-24" = "V24"
"terms.NET30" = "30N"
"category.REV-MILESTONE" = "M1"
"category.REV-TM" = "T1"

[[entity]]
code = "IS01"
name = "Test Partners ehf."
country = "IS"
currency = "ISK"
timezone = "Atlantic/Reykjavik"
erp = "mainframe"
create_customers = true

[[revenue]]
recognition = "point_in_time"
account = "4000"
category = "REV-MILESTONE"
billing = "milestones"

[[revenue]]
recognition = "as_invoiced"
account = "4100"
category = "REV-TM"
billing = "time_and_materials"

[[exchange_rate]]
currency = "ISK"
rate = "0.0073"
valid_from = 2025-01-01
"""
_MASTER = {
    "currencies": [{"code": "352", "iso": "ISK"}],
    "legal_entities": [{"code": "3540", "name": "Test Partners ehf.", "currency": "ISK"}],
    "tax_codes": [{"legal_entity": "3540", "code": "V24", "rate": "24"}],
    "payment_terms": [{"code": "30N", "days": "30"}],
    "revenue_categories": [{"code": "M1", "account": "4000"}, {"code": "T1", "account": "4100"}],
}


class Mainframe:
    """The ERP in a process of its own, with a window that is open now and answers a little after it closes."""

    def __init__(self, house: House, *, open_s: float) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        self.opens, self.closes = now - timedelta(minutes=1), now + timedelta(seconds=open_s)
        self.answers = self.closes + timedelta(seconds=3)
        times = {"--opens": self.opens, "--closes": self.closes, "--answers": self.answers}
        options = [part for name, moment in times.items() for part in (name, f"{moment:%H:%M:%S}")]
        options += ["--password", ERP_SECRET, "--admin-token", ADMIN_TOKEN]
        self._process: Process = house.start("legacy", "app.sandbox.legacy", *options)
        ready = self._process.first_line()
        assert ready, self._process.last_words()
        self.url = str(orjson.loads(ready)["url"])
        self._admin("POST", "master", _MASTER)
        house.estate.write_text(
            _ESTATE.format(source=SOURCE, url=self.url, opens=self.opens, closes=self.closes, answers=self.answers)
        )

    def fault(self, effect: str, operation: str, **more: object) -> None:
        self._admin("POST", "faults", {"effect": effect, "operation": operation, **more})

    def mend(self) -> None:
        self._admin("DELETE", "faults")

    def requests(self, operation: str) -> int:
        return int(str(self._admin("GET", "requests").get(operation, 0)))

    def groups(self) -> Counter[str]:
        """How often each contract and shared object was handed over, over all files."""
        items: list[dict[str, str]] = self._admin("GET", "batches")["items"]  # type: ignore[assignment]
        lines = [line for item in items for line in item["content"].split("\r\n")]
        return Counter(line[13:93].rstrip() for line in lines if line.startswith("10"))

    def files(self) -> int:
        return len(self._admin("GET", "batches")["items"])  # type: ignore[arg-type]

    def held(self) -> dict[tuple[str, str], list[str]]:
        """Documents by kind and key of all that stands."""
        found: dict[tuple[str, str], list[str]] = {}
        for item in self._objects():
            found.setdefault((str(item["kind"]), str(item["external_id"])), []).append(str(item["id"]))
        return found

    def not_billable(self) -> list[str]:
        return [str(o["external_id"]) for o in self._objects() if o["kind"] == "project" and o["status"] != "active"]

    def _objects(self) -> list[dict[str, object]]:
        items: list[dict[str, object]] = self._admin("GET", "objects")["items"]  # type: ignore[assignment]
        return items

    def _admin(self, method: str, path: str, body: object = None) -> dict[str, object]:
        headers = {"x-sandbox-token": ADMIN_TOKEN}
        answer = httpx.request(method, f"{self.url}/_sandbox/{path}", json=body, headers=headers, trust_env=False)
        answer.raise_for_status()
        told: dict[str, object] = answer.json()
        return told


def terms_of(number: int) -> dict[str, object]:
    """Both billing kinds by turns, in a currency without decimals; two contracts share each customer."""
    customer = {"code": f"VSK-{number // 2}", "name": f"Þjónusta {number // 2}", "tax_id": f"IS{number // 2:06d}",
                "country": "IS"}  # fmt: skip
    there = {"legal_entity": "IS01", "currency": "ISK", "tax": {"tax_code": "VSK-24"}, "customer": customer}
    value = "2500000"
    if number % 2:
        lines = [{"key": "1", "description": "Rollout", "amount": value}]
        parts = [
            {"key": "design", "name": "Design", "amount": "999999", "due_on": "2031-05-29", "line": "1"},
            {"key": "golive", "name": "Go-live", "amount": "1500001", "due_on": "2031-09-30", "line": "1"},
        ]
        return milestone_terms(**{**there, "value": value, "lines": lines, "milestones": parts})
    lines = [{"key": "1", "description": "Support", "amount": value}]
    billing = {"kind": "time_and_materials", "payment_terms": "NET30", "not_to_exceed": value}
    rates = [{"category": "SR", "name": "Senior consultant", "rate": "24000", "planned_hours": "120", "line": "1"}]
    return tm_terms(**{**there, "value": value, "lines": lines, "billing": billing, "rates": rates})
