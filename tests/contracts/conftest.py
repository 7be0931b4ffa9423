"""Gives each conformance test every registered connector in turn."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.contracts.cases import CASES, Case

# A Tryton server takes seconds to start: one process runs all tests that need it.
_TRYTON = pytest.mark.xdist_group("tryton")
_PARAMS = [pytest.param(name, marks=[_TRYTON] if name == "tryton" else []) for name in CASES]


@pytest_asyncio.fixture(params=_PARAMS)
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    async with CASES[request.param](request) as opened:
        yield opened
