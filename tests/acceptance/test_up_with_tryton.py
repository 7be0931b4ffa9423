"""`tieline up --with tryton` as a person starts it: what was signed stands in a real Tryton, and stays there."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import cast

import psycopg
import pytest

from app.sandbox.tryton_firm import CONTRACTS, CUSTOMERS
from app.sandbox.tryton_rpc import TrytonRpc
from tests.acceptance.processes import TIELINE

pytestmark = [pytest.mark.long, pytest.mark.timeout(900), pytest.mark.xdist_group("tryton")]

FIRST_S, AGAIN_S, STOP_S = 600, 120, 60  # a machine that does more besides is slow
ENTITY = "MA-CA"
SIGNED = """
    SELECT external_id, data -> 'terms' FROM core.event
    WHERE type LIKE '%%.signed.v1' AND data -> 'terms' ->> 'legal_entity' = %s
"""


class Installation:
    """One home; `run` starts everything in it and stops it with Ctrl-C."""

    def __init__(self, place: Path) -> None:
        self.home, self._log = place / "home", place / "up.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIELINE_", "DATABASE_"))}
        demo = {"TIELINE_DEMO_CONTRACTS": "5", "TIELINE_DEMO_PER_MINUTE": "0"}
        self.environment = {**kept, **demo, "TIELINE_HOME": str(self.home), "TIELINE_PORT": "0"}

    @contextmanager
    def run(self) -> Iterator[None]:
        with self._log.open("wb") as said:
            process = subprocess.Popen(
                [*TIELINE, "up", "--with", "tryton"], env=self.environment, stdout=said, stderr=subprocess.STDOUT
            )
        try:
            yield
        except BaseException:
            print(self.said())
            raise
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == 0, self.said()

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def ask(self, *arguments: str) -> str:
        return subprocess.run(
            [*TIELINE, *arguments], env=self.environment, stdout=subprocess.PIPE, timeout=60, check=True, text=True
        ).stdout.strip()

    def tryton(self) -> TrytonRpc:
        port = (self.home / "tryton" / "port").read_text().strip()
        password = json.loads((self.home / "tryton" / "passwords.json").read_text())["admin"]
        rpc = TrytonRpc(f"http://127.0.0.1:{port}", "tieline_tryton", login="admin", password=password)
        rpc.context["company"] = rpc.find("company.company", [["party.identifiers.code", "=", ENTITY]])
        return rpc


def until(what: str, condition: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.5)


def signed_terms(database_url: str) -> Mapping[str, Mapping[str, object]]:
    """Of the entity's contracts, as the CLM sent them and Tieline keeps them."""
    with psycopg.connect(database_url) as conn:
        rows = conn.execute(SIGNED, [ENTITY]).fetchall()
    return {str(contract_id): terms for contract_id, terms in rows}


def active(database_url: str) -> int:
    with psycopg.connect(database_url) as conn:
        row = conn.execute(
            "SELECT count(*) FROM core.contract WHERE legal_entity = %s AND state = 'active'", [ENTITY]
        ).fetchone()
    return int(str(row[0])) if row else 0


def projects(rpc: TrytonRpc) -> dict[str, int]:
    """Ids by the contract that the first line of the comment names."""
    rows = rpc.rows("project.work", [["type", "=", "project"]], ["comment"])
    return {str(row["comment"]).splitlines()[0].rpartition("/")[2]: cast("int", row["id"]) for row in rows}


def test_what_was_signed_stands_in_tryton_and_a_second_start_keeps_it(tmp_path: Path) -> None:
    here = Installation(tmp_path)
    with here.run():
        until("the link is printed", lambda: "/enter?t=" in here.said(), within_s=AGAIN_S)
        until("Tryton answers", lambda: "Tryton answers at" in here.said(), within_s=FIRST_S)
        assert here.said().index("/enter?t=") < here.said().index("Tryton starts")
        url = here.ask("database-url")
        until("its contracts are active", lambda: active(url) == CONTRACTS, within_s=AGAIN_S)
        terms = signed_terms(url)
        with here.tryton() as rpc:
            made = projects(rpc)
            assert set(made) == set(terms)
            assert len(rpc.rows("party.party", [["identifiers.code", "like", "CUST-CA-%"]])) == CUSTOMERS
            for contract_id, project in made.items():
                as_signed(rpc, project, terms[contract_id])
        lanes = json.loads(here.ask("status", "--json"))["lanes"]
        assert {lane["lane"] for lane in lanes} == {"cloud", "tryton"}
        password = json.loads((here.home / "tryton" / "passwords.json").read_text())["admin"]
        assert password not in here.said()
        assert (here.home / "tryton" / "passwords.json").stat().st_mode & 0o777 == 0o600

    with here.run():
        until("Tryton answers again", lambda: "Tryton answers at" in here.said(), within_s=AGAIN_S)
        until("the sandbox answers", lambda: "are provisioned as they come" in here.said(), within_s=AGAIN_S)
        with here.tryton() as rpc:
            assert projects(rpc) == made
        assert set(signed_terms(here.ask("database-url"))) == set(terms)


def as_signed(rpc: TrytonRpc, project: int, terms: Mapping[str, object]) -> None:
    """Milestones to the cent, or the rate card line by line."""
    tasks = rpc.rows("project.work", [["parent", "=", project]], ["name", "list_price", "comment"])
    prices = sorted((str(t["name"]), cast("Decimal", t["list_price"])) for t in tasks if t["list_price"] is not None)
    milestones = cast("list[dict[str, object]]", terms["milestones"])
    rates = cast("list[dict[str, object]]", terms["rates"])
    agreed = [(str(m["name"]), Decimal(str(m["amount"]))) for m in milestones]
    agreed += [(str(r["name"]), Decimal(str(r["rate"]))) for r in rates]
    assert prices == sorted(agreed)
    if milestones:
        assert sum(price for _, price in prices) == Decimal(str(terms["value"]))
