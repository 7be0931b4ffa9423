"""What real processes write to stderr leads from a contract to its run and from a request to its caller, and tells no
secret: not even one that an ERP repeats in its refusal.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import orjson
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.sandbox.clm.wire import STRUCTURED
from tests.acceptance.cloud_firm import ERP_SECRET, SECRETS, WEBHOOK_SECRET, deliver, estate, sow
from tests.acceptance.processes import House
from tests.databases import DatabaseUrls
from tests.sandbox import clm_process
from tests.sows import milestone_terms

TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"


@contextmanager
def indiscreet_erp() -> Iterator[str]:
    """Its URL. It knows no client, and says which secret it was sent."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = orjson.dumps({"error_description": f"no client has the secret '{ERP_SECRET}'"})
            self.send_response(400)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture
def house(tmp_path: Path, database_urls: DatabaseUrls) -> Iterator[House]:
    with indiscreet_erp() as url, House(tmp_path, database_urls, {**SECRETS, "TIELINE_LOG_LEVEL": "debug"}) as opened:
        opened.estate.write_text(estate(url))
        yield opened


def written(house: House, part: str) -> list[dict[str, str]]:
    """By the process that was started under this name. A line that is half written is none yet."""
    [log] = house.place.glob(f"{part}-*.log")
    return [orjson.loads(line) for line in log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def test_lines_carry_the_contracts_correlation_id_or_the_requests_and_no_secret(house: House) -> None:
    api = house.api()
    house.worker()
    event = sow("C-1", milestone_terms()) | {"traceparent": f"00-{TRACE}-{SENDER}-01", "correlationid": "corr-42"}
    assert deliver(api, event).status_code == 202
    refused = httpx.post(f"{api}/v1/events", content=b"{", trust_env=False,
                         headers={"content-type": STRUCTURED, "x-correlation-id": "call-7"})  # fmt: skip
    assert (refused.status_code, refused.json()["correlation_id"]) == (400, "call-7")

    def of_run() -> list[dict[str, str]]:
        return [line for line in written(house, "worker") if line["message"].startswith("lane cloud stops")]

    house.until("the run's line is written", lambda: len(of_run()) > 0)
    [stops] = of_run()
    about = {name: stops[name] for name in ("part", "level", "contract", "correlation_id", "trace_id")}
    assert about == {
        "part": "worker", "level": "warning", "contract": "C-1", "correlation_id": "corr-42", "trace_id": TRACE,
    }  # fmt: skip
    assert "no client has the secret '***'" in stops["message"]
    [answered] = [line for line in written(house, "api") if line["message"].startswith("request refused")]
    assert (answered["part"], answered["correlation_id"]) == ("api", "call-7")

    whole = b"".join(log.read_bytes() for log in house.place.glob("*.log"))
    password = conninfo_to_dict(house.urls.app_libpq)["password"]
    for secret in (ERP_SECRET, WEBHOOK_SECRET, clm_process.TOKEN, password):
        assert str(secret).encode() not in whole, secret
