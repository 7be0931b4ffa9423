"""A sandbox CLM on a virtual clock, and one year of the made-up portfolio, played once."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

import app
from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.server import build
from app.sandbox.portfolio.plan import Portfolio, plan
from app.sandbox.portfolio.steps import Step
from sync_core.clock import VirtualClock
from sync_core.estate.estate import Estate, load
from tests.sandbox import clm_world
from tests.sandbox.clm_process import TOKEN
from tests.sandbox.clm_world import TARGET
from tests.sandbox.stories import CONTRACTS, END, START, play


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(clm_world.START)


@pytest.fixture
def clm(clock: VirtualClock) -> SandboxClm:
    return build(clock, seed=1, token=TOKEN, webhook=TARGET)


@pytest.fixture
async def http(clm: SandboxClm) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(clm), base_url="http://clm.example", headers=headers
    ) as client:
        yield client


@pytest.fixture(scope="session")
def estate() -> Estate:
    assert app.__file__ is not None
    return load((Path(app.__file__).parent / "sandbox" / "estate_demo.toml").read_text())


@pytest.fixture(scope="session")
def steps(estate: Estate) -> list[Step]:
    return list(plan(Portfolio(11, START, END, CONTRACTS, estate)))


@pytest.fixture(scope="session")
def played(steps: list[Step]) -> SandboxClm:
    return play(steps)
