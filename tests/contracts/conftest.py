"""Gives each conformance test every registered connector in turn."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.contracts.cases import CASES, Case


@pytest_asyncio.fixture(params=CASES)
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    async with CASES[request.param](request) as opened:
        yield opened
