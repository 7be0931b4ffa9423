"""Log lines: who gets which format, what each says, and that no secret is ever in one."""

import asyncio
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal

import httpx
import orjson
import pytest
from fastapi import APIRouter, FastAPI

from app.settings import Settings, load
from app.telemetry import logs
from app.telemetry.logs import JsonLines, ShortLines, format_of, hide, without_secrets
from app.telemetry.telemetry import RequestTimes
from app.web.problems import ProblemRoute
from app.wiring import Wiring
from sync_core.telemetry.latencies import Latencies
from sync_core.telemetry.log_context import concerned, concerns


@pytest.fixture
def written() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    logger, out = logging.getLogger("tests.logs"), io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines("worker"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger, out
    logger.removeHandler(handler)


def lines(out: io.StringIO) -> list[dict[str, str]]:
    return [orjson.loads(line) for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("part", "given", "under_up", "wanted"),
    [
        ("worker", None, "", "json"), ("api", None, "", "json"), ("web", None, "", "json"),
        ("worker", None, "worker-1", "text"), ("up", None, "", "text"), ("status", None, "", "text"),
        ("worker", "text", "", "text"), ("status", "json", "", "json"), ("web", "json", "web", "json"),
    ],
)  # fmt: skip
def test_services_write_json_and_people_read_text(
    part: str, given: Literal["text", "json"] | None, under_up: str, wanted: str
) -> None:
    assert format_of(Settings(log_format=given, log_part=under_up), part) == wanted


async def test_every_line_of_a_run_says_which_contract_and_trace(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = written

    async def run(name: str) -> None:
        concerns(correlation_id=f"k-{name}", trace_id="ab" * 16, contract=name)
        logger.info("begins")
        await asyncio.sleep(0)
        await asyncio.gather(*(asyncio.to_thread(logger.info, "in a thread of it") for _ in range(2)))

    await asyncio.gather(run("C-1"), run("C-2"))
    logger.info("of no run")
    found = lines(out)
    for name in ("C-1", "C-2"):
        mine = [line for line in found if line.get("contract") == name]
        assert len(mine) == 3
        assert {(line["correlation_id"], line["trace_id"]) for line in mine} == {(f"k-{name}", "ab" * 16)}
    assert "contract" not in found[-1]
    assert {"time", "level", "part", "logger", "message"} <= found[-1].keys()


@pytest.fixture
def served(written: tuple[logging.Logger, io.StringIO]) -> FastAPI:
    """Two routes as those of the API, one of which fails, within what each process puts around its own."""
    logger, _ = written
    routes = APIRouter(route_class=ProblemRoute)

    @routes.get("/v1/waits/{name}")
    async def waits(name: str) -> str:
        await asyncio.sleep(0)
        await asyncio.to_thread(logger.info, name)
        return name

    @routes.get("/v1/fails")
    def fails() -> None:
        logger.warning("before it fails")
        raise ZeroDivisionError

    app = FastAPI()
    app.include_router(routes)
    app.add_middleware(RequestTimes, latencies=Latencies())
    return app


async def test_every_line_of_a_request_carries_the_id_that_its_caller_sent(
    served: FastAPI, written: tuple[logging.Logger, io.StringIO]
) -> None:
    logger, out = written
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://api") as client:
        await asyncio.gather(
            *(client.get(f"/v1/waits/{name}", headers={"x-correlation-id": f"call-{name}"}) for name in "abc")
        )
        logger.info("of no request")
    *mine, last = lines(out)
    assert {(line["message"], line["correlation_id"]) for line in mine} == {(name, f"call-{name}") for name in "abc"}
    assert "correlation_id" not in last


@pytest.mark.parametrize("sent", [{}, {"x-correlation-id": "with blanks"}, {"x-correlation-id": "x" * 129}])
async def test_a_request_without_a_good_id_gets_one_which_its_lines_and_its_answer_share(
    served: FastAPI, written: tuple[logging.Logger, io.StringIO], sent: dict[str, str]
) -> None:
    _, out = written
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://api") as client:
        first = await client.get("/v1/fails", headers=sent)
        second = await client.get("/v1/fails", headers=sent)
    told = [answer.json()["correlation_id"] for answer in (first, second)]
    assert first.status_code == 500
    assert [line["correlation_id"] for line in lines(out)] == told
    assert len({*told, *sent.values()}) == 2 + len(sent)
    assert concerned() == {}


def test_a_traceback_is_in_the_line_and_has_no_secret(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, out = written
    try:
        raise RuntimeError("GET https://svc-user:hunter22pass@erp.example/x with Authorization: Bearer abc.def-123")
    except RuntimeError:
        logger.exception("it failed")
    [line] = lines(out)
    assert "RuntimeError" in line["traceback"]
    for secret in ("hunter22pass", "abc.def-123"):
        assert secret not in out.getvalue()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://app:p4ssw0rd-x@db/tieline", "p4ssw0rd-x"),
        ("https://ghp_0123456789abcdef@hooks.example/x", "ghp_0123456789abcdef"),
        ("{'Authorization': 'Token 9944b09199c62bcf'}", "9944b09199c62bcf"),
        ("authorization: ApiKey Zm9vYmFyYmF6", "Zm9vYmFyYmF6"),
        ("Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln", "eyJzdWIi"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("Proxy-Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("X-Api-Key: 5f4dcc3b5aa765d6", "5f4dcc3b5aa765d6"),
        ("cookie: tieline_session=Jq3vX9rT0", "Jq3vX9rT0"),
        ("client_secret=0a1b2c3d4e5f&x=1", "0a1b2c3d4e5f"),
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "C2FVsBQIhrscChlQIMV"),
        ("http://127.0.0.1:8080/enter?t=Zx-8hYq1s", "Zx-8hYq1s"),
        ("/callback?code=abc123xyz&state=qqq", "abc123xyz"),
    ],
)
def test_what_looks_like_a_secret_is_not_written(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in without_secrets(text)


def test_what_looks_like_none_stays() -> None:
    for text in ("contract C-1 of //clm.example/contracts waits", "GET http://127.0.0.1:8080/v1/contracts 200",
                 "the authorization table", "mail to a@b.example"):  # fmt: skip
        assert without_secrets(text) == text


def test_a_secret_of_the_estate_is_never_written_once_it_was_read(
    monkeypatch: pytest.MonkeyPatch, written: tuple[logging.Logger, io.StringIO]
) -> None:
    logger, out = written
    monkeypatch.setenv("TIELINE_SECRET_OF_AN_ERP", "plain words & marks=1")
    assert Wiring(load(), "worker").secret("TIELINE_SECRET_OF_AN_ERP") == "plain words & marks=1"
    logger.info("sent %s", {"password": "plain words & marks=1"})
    logger.info("GET /x?key=plain%20words%20%26%20marks%3D1")
    assert "plain" not in out.getvalue()
    assert out.getvalue().count("***") == 2


def test_a_short_value_hides_no_words() -> None:
    hide("cloud")
    assert without_secrets("lane cloud stops") == "lane cloud stops"


def test_a_worker_alone_writes_json_and_no_password() -> None:
    """A real process, with a database that is not there."""
    url = "postgresql://app:s3cret-of-db@127.0.0.1:1/none"
    environment = {**os.environ, "DATABASE_URL": url, "TIELINE_LOG_LEVEL": "debug"}
    environment.pop("TIELINE_LOG_FORMAT", None)
    code = "import logging; from app.cli.begin import begin; begin('worker'); logging.error('url s3cret-of-db')"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    [line] = [orjson.loads(one) for one in done.stderr.splitlines() if "url" in one]
    assert (line["message"], line["part"]) == ("url ***", "worker")


def test_short_lines_have_no_secret_either() -> None:
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "Authorization: Bearer abcdefgh", None, None)
    assert ShortLines("web").format(record).endswith("warning: Authorization: ***")
    assert logs.SERVICES
