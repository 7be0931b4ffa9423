"""A firm that bills from sandbox-cloud: its estate, the ERP's process, its contracts, and their signed delivery."""

import base64
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
import orjson
from standardwebhooks import Webhook

from app.sandbox.clm.wire import BATCH, STRUCTURED
from tests.acceptance.processes import House, Process
from tests.sandbox import clm_process
from tests.sows import SOURCE, cloud_event, milestone_terms, signed, tm_terms

WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"tests-only-webhook-secret-tests!").decode()
ERP_SECRET, ADMIN_TOKEN = "tests-only-erp", "tests-only-admin"
SECRETS = {"FIRM_WEBHOOK": WEBHOOK_SECRET, "FIRM_ERP": ERP_SECRET, "FIRM_CLM": clm_process.TOKEN}
KINDS = ("customer", "labour_category", "project", "contract_line", "milestone", "labour_rate")

_ESTATE = """
[group]
name = "Test Partners"
reporting_currency = "USD"

[[clm]]
name = "clm"
source = "{source}"
kind = "sandbox"
poll_every_s = 2
secret_env = ["FIRM_WEBHOOK"]
{clm_url}

[[erp]]
name = "cloud"
kind = "sandbox_cloud"
url = "{erp_url}"
user = "tieline"
secret_env = "FIRM_ERP"
max_in_flight = 16
timeout_s = 3
options = {{ upsert = "false", settle_s = "2" }}

[[entity]]
code = "US01"
name = "Test Partners LLC"
country = "US"
currency = "USD"
timezone = "America/New_York"
erp = "cloud"
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
"""
ENTITIES = ("US01", "US02", "US03")  # that the ERP knows; the estate above has the first
_MASTER = {
    "legal_entities": [{"code": code, "name": "Test Partners LLC", "currency": "USD"} for code in ENTITIES],
    "tax_codes": [{"legal_entity": code, "code": "US-CA-STD", "rate": "8.25"} for code in ENTITIES],
    "payment_terms": [{"code": "NET30", "days": "30"}],
    "revenue_categories": [{"code": "REV-MILESTONE", "account": "4000"}, {"code": "REV-TM", "account": "4100"}],
}


def estate(erp_url: str, *, source: str = SOURCE, clm_url: str | None = None) -> str:
    """Without a CLM's URL it is neither polled nor told: it only sends."""
    line = f'url = "{clm_url}"\noptions = {{ token_env = "FIRM_CLM" }}' if clm_url else ""
    return _ESTATE.format(source=source, erp_url=erp_url, clm_url=line)


class Cloud:
    """The ERP in a process of its own. No key is unique there: every create makes another record."""

    def __init__(self, house: House, *, port: int = 0, name: str = "erp") -> None:
        self._house, self._name, self._state = house, name, house.place / f"{name}.jsonl"
        self._process = self._start(port)
        self._admin("POST", "master", _MASTER)

    def _start(self, port: int) -> Process:
        options = ["--port", str(port), "--state", str(self._state), "--no-unique-keys"]
        options += ["--client-secret", ERP_SECRET, "--admin-token", ADMIN_TOKEN]
        process = self._house.start(self._name, "app.sandbox.cloud", *options)
        ready = process.first_line()
        assert ready, process.last_words()
        self.url = str(orjson.loads(ready)["url"])
        return process

    def kill(self) -> None:
        self._process.kill()

    def start_again(self) -> None:
        """In the same place, with the records that it had."""
        self._process = self._start(int(self.url.rpartition(":")[2]))

    def fault(self, effect: str, operation: str = "*", **more: object) -> None:
        self._admin("POST", "faults", {"effect": effect, "operation": operation, **more})

    def mend(self) -> None:
        self._admin("DELETE", "faults")

    def writes(self) -> list[dict[str, object]]:
        """Every write request since it started, answered or not."""
        found: list[dict[str, object]] = self._admin("GET", "log")["writes"]  # type: ignore[assignment]
        return found

    def held(self) -> dict[tuple[str, str], list[str]]:
        """References by kind and key of all that is open; parts of a closed project are closed with it."""
        found: dict[tuple[str, str], list[str]] = {}
        closed: set[str] = set()
        for kind in KINDS:
            for item in self.objects(kind):
                if item.get("status") == "closed" or item.get("project_id") in closed:
                    closed.add(str(item["id"]))
                else:
                    found.setdefault((kind, str(item["external_id"])), []).append(str(item["id"]))
        return found

    def not_billable(self) -> list[str]:
        return [str(p["external_id"]) for p in self.objects("project") if p["status"] not in ("active", "closed")]

    def bill_until(self, day: str) -> None:
        """It invoices what is due by then."""
        self._admin("POST", "advance", {"through": day})

    def edit(self, kind: str, ref: str, **fields: str) -> None:
        """Somebody changes a record by hand."""
        self._admin("PATCH", "objects", {"kind": kind, "id": ref, "fields": fields})

    def objects(self, kind: str) -> list[dict[str, object]]:
        items: list[dict[str, object]] = self._admin("GET", f"objects?kind={kind}")["items"]  # type: ignore[assignment]
        return items

    def _admin(self, method: str, path: str, body: object = None) -> dict[str, object]:
        headers = {"x-sandbox-token": ADMIN_TOKEN}
        answer = httpx.request(method, f"{self.url}/_sandbox/{path}", json=body, headers=headers, trust_env=False)
        answer.raise_for_status()
        told: dict[str, object] = answer.json()
        return told


def doubles(held: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], list[str]]:
    return {at: refs for at, refs in held.items() if len(refs) > 1}


def expected(contracts: Sequence[dict[str, object]]) -> Counter[str]:
    """How many objects of each kind these terms come to."""
    wanted: set[tuple[str, str]] = set()
    for number, terms in enumerate(contracts):
        wanted |= {("customer", str(terms["customer"]["code"])), ("project", str(number))}  # type: ignore[index]
        for kind, name in (("contract_line", "lines"), ("milestone", "milestones"), ("labour_rate", "rates")):
            wanted |= {(kind, f"{number} {place}") for place, _ in enumerate(terms.get(name, ()))}  # type: ignore[arg-type]
        wanted |= {("labour_category", rate["category"]) for rate in terms.get("rates", ())}  # type: ignore[attr-defined]
    return Counter(kind for kind, _ in wanted)


def customer(number: int) -> dict[str, object]:
    return {"code": f"CUST-{number:03d}", "name": f"Customer {number}", "tax_id": f"US-{number:05d}", "country": "US"}


def terms_of(number: int, *, customers: int) -> dict[str, object]:
    """Both billing kinds by turns; many contracts share a customer that the ERP does not know yet."""
    make = milestone_terms if number % 2 else tm_terms
    return make(title=f"Statement of work {number}", customer=customer(number // 2 % customers))


def sow(contract: str, terms: dict[str, object]) -> dict[str, object]:
    return cloud_event(f"{contract}.signed", "signed.v1", signed(contract, terms))


def deliver(api: str, *events: dict[str, object], batched: bool = False) -> httpx.Response:
    """POST them as their CLM would, signed by Standard Webhooks."""
    body = orjson.dumps(list(events) if batched else events[0])
    at, name = datetime.now(UTC), f"msg_{events[0]['id']}"
    headers = {
        "content-type": BATCH if batched else STRUCTURED,
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign(name, at, body.decode()),
    }
    return httpx.post(f"{api}/v1/events", content=body, headers=headers, timeout=30, trust_env=False)


def open_house(house: House, **more: str) -> Cloud:
    """Start the ERP and write the estate file that names it."""
    cloud = Cloud(house)
    house.estate.write_text(estate(cloud.url, **more))
    return cloud
