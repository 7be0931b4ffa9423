"""Every error has a status, and a problem tells nothing of our insides."""

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from app.web.problems import ProblemRoute, status_of
from sync_core.errors import (
    ErpRejected,
    ErpUnavailable,
    EventTooLarge,
    InvalidMoney,
    LeaseLost,
    MalformedEvent,
    TielineError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MalformedEvent("m"), 400),
        (EventTooLarge("m"), 413),
        (InvalidMoney("m"), 422),
        (ErpRejected("erp", "m"), 422),
        (ErpUnavailable("erp", "m"), 503),
        (LeaseLost("m"), 503),
        (TielineError("m"), 500),
    ],
)
def test_the_status_follows_from_the_error(error: TielineError, status: int) -> None:
    assert status_of(error) == status


@pytest.fixture
def app() -> FastAPI:
    routes = APIRouter(route_class=ProblemRoute)

    @routes.get("/bug")
    def bug() -> None:
        raise ZeroDivisionError("secret detail")

    @routes.get("/number/{n}")
    def number(n: int) -> int:
        return n

    app = FastAPI()
    app.include_router(routes)
    return app


async def test_a_bug_is_a_500_that_tells_only_its_correlation_id(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        answer = await client.get("/bug", headers={"x-correlation-id": "bad id\twith blanks"})
    assert (answer.status_code, answer.json()["code"]) == (500, "tieline.error")
    assert "secret" not in answer.text
    assert answer.json()["correlation_id"] in caplog.text
    assert "blanks" not in answer.text


async def test_a_wrong_parameter_is_named(app: FastAPI) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
        answer = await client.get("/number/x")
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert answer.json()["detail"].startswith("path.n: ")
