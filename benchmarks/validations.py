"""How long POST /v1/validations takes: `python -m benchmarks.validations [contracts] [requests] [at once]`.

A real `tieline api` process over loopback, against an embedded PostgreSQL of its own with so many contracts, their
events, and master data of as many customers. Each round is one client or several with their connections kept; p50 and
p95 are of each round, with the least and the most over the rounds.
"""

import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import orjson
import sqlalchemy as sa

from app.cli.actor import operator_of_this_machine
from sync_core.authority import Permission
from sync_core.clock import SystemClock
from sync_core.commands.commands import Commands
from sync_core.store.migrate import migrate
from tests import databases, rows
from tests.databases import DatabaseUrls
from tests.sows import ESTATE_TOML, milestone_terms

ROUNDS: Final = 7

_FACTS = sa.text("""
    INSERT INTO core.reference (system, legal_entity, what, code, besides, answer, observed_at)
    SELECT 'cloud', 'US01', what, code, besides, answer, now() FROM (
        SELECT 'customer' AS what, 'CUST-' || n AS code, '' AS besides, jsonb_build_array('C' || n) AS answer
        FROM generate_series(1, :customers) AS n
        UNION ALL
        SELECT 'customer_tax', 'CUST-' || n, '["US-CA-STD",["REV-MILESTONE"],true,true]', 'true'
        FROM generate_series(1, :customers) AS n
        UNION ALL VALUES ('legal_entity', '', '', CAST('"USD"' AS jsonb)), ('tax_code', 'US-CA-STD', '', 'true'),
            ('payment_terms', 'NET30', '', 'true'), ('revenue_category', 'REV-MILESTONE', '', 'true'),
            ('period', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM'), '', 'true')
    ) AS k
""")
_CAPABLE = sa.text("""
    INSERT INTO core.reference (system, legal_entity, what, code, answer, observed_at) VALUES ('cloud', '',
        'capabilities', '', '["contract_line","customer","labour_category","labour_rate","milestone","project",
        "foreign_currency"]', now())
""")


def main(contracts: int, requests: int, at_once: int) -> None:
    with databases.test_server(uuid.uuid4().hex) as server:
        template = databases.template(server, "bench_validations", lambda url: migrate(url, app_role="tieline_app"))
        urls = databases.clone(server, template)
        rows.seed(urls.owner, contracts)
        _furnish(urls, contracts)
        with tempfile.TemporaryDirectory(prefix="tieline-bench-") as place, _api(urls, Path(place)) as url:
            token = _token(urls, url)
            measured = [asyncio.run(_round(url, token, requests, at_once, contracts)) for _ in range(ROUNDS)]
        databases.drop(server, urls)
    for percent in (50, 95, 99):
        each = sorted(_percentile(one, percent) for one in measured)
        print(
            f"p{percent} {statistics.median(each):.1f} ms (least {each[0]:.1f}, most {each[-1]:.1f} of {ROUNDS} rounds)"
        )
    rate = sorted(len(one) / (sum(one) / 1000 / at_once) for one in measured)
    print(f"{contracts:,} contracts, {requests:,} requests a round, {at_once} at once, {rate[len(rate) // 2]:.0f}/s")


def _furnish(urls: DatabaseUrls, customers: int) -> None:
    engine = sa.create_engine(urls.owner)
    with engine.begin() as conn:
        conn.execute(_FACTS, {"customers": customers})
        conn.execute(_CAPABLE)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(sa.text("ANALYZE"))
    engine.dispose()


@contextmanager
def _api(urls: DatabaseUrls, place: Path) -> Iterator[str]:
    estate = place / "estate.toml"
    estate.write_text(ESTATE_TOML)
    door = socket.create_server(("127.0.0.1", 0), backlog=1024)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIELINE_", "DATABASE_"))}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "app.cli.main", "api"],
        env={**kept, "TIELINE_HOME": str(place / "home"), "TIELINE_ESTATE": str(estate),
             "DATABASE_URL": urls.app_libpq, "TIELINE_LISTEN_FDS": json.dumps({"web": door.fileno()})},
        pass_fds=(door.fileno(),), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
    finally:
        process.terminate()
        process.wait(20)
        door.close()


def _token(urls: DatabaseUrls, url: str) -> str:
    from sync_core.estate.estate import load

    engine = sa.create_engine(urls.app)
    commands = Commands(engine, clock=SystemClock(), estate=load(ESTATE_TOML))
    made = commands.access.create_client(
        operator_of_this_machine(), "clm", scopes=[Permission.VALIDATIONS_WRITE], entities=None
    )
    engine.dispose()
    form = {"grant_type": "client_credentials", "client_id": "clm", "client_secret": made.secret}
    answer = httpx.post(f"{url}/oauth/token", data=form, timeout=60, trust_env=False)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


async def _round(url: str, token: str, requests: int, at_once: int, customers: int) -> list[float]:
    """Milliseconds of each request."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    took: list[float] = []

    async def client(share: range) -> None:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False) as http:
            for number in share:
                code = f"CUST-{number % customers + 1}"
                terms = milestone_terms(customer={"code": code, "name": "Harbour Mutual", "country": "US"})
                body = orjson.dumps({"terms": terms})
                begun = time.perf_counter()
                answer = await http.post("/v1/validations", content=body)
                took.append((time.perf_counter() - begun) * 1000)
                if not answer.json()["would_provision"]:
                    raise SystemExit(f"a validation did not say yes: {answer.text}")

    await asyncio.gather(*(client(range(first, requests, at_once)) for first in range(at_once)))
    return took


def _percentile(values: list[float], place: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * place // 100)]


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    main(*(*given, *(10_000, 500, 1)[len(given) :]))
