"""The sandbox CLM's process, spoken to over its REST interface as its users and its operator do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.acceptance.cloud_firm import WEBHOOK_SECRET
from tests.sandbox.clm_process import TOKEN, running_clm
from tests.sows import SIGNED_AT


class Clm:
    def __init__(self, url: str, client: httpx.Client) -> None:
        self.url, self._client = url, client

    def sign(self, contract: str, terms: dict[str, object]) -> None:
        body = {"signed_at": SIGNED_AT.isoformat(), "terms": terms}
        change = {"contract_id": contract, "kind": "signed", "body": body}
        self._client.post("/sandbox/changes", json=change).raise_for_status()

    def faults(self, **rates: float) -> None:
        """Shares of the deliveries that suffer each, see FaultRates."""
        self._client.put("/sandbox/faults", json=rates).raise_for_status()

    def push_to(self, api: str) -> None:
        hook = {"url": f"{api}/v1/events", "secret": WEBHOOK_SECRET}
        self._client.put("/sandbox/webhook", json=hook).raise_for_status()

    def events(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self._client.get("/api/events").raise_for_status().json()["events"]
        return found

    def told(self) -> dict[str, tuple[object, object]]:
        """By contract, the status and the project that were written back."""
        listed = self._client.get("/api/contracts", params={"limit": 500}).raise_for_status().json()["contracts"]
        reported = {item["contract_id"]: item["integration"] or {} for item in listed}
        return {name: (status.get("status"), status.get("project_ref")) for name, status in reported.items()}


@contextmanager
def running(place: Path) -> Iterator[Clm]:
    """Pushes nothing until `push_to`."""
    with running_clm(place / "clm.jsonl") as process:
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=process.url, headers=headers, trust_env=False) as client:
            yield Clm(process.url, client)
