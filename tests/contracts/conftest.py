"""Gives each conformance test every registered connector in turn, and contracts to bring there."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.contracts.cases import CASES, Case
from tests.contracts.provisioning import number
from tests.contracts.samples import Sample, milestones, over_time, time_and_materials

# A Tryton server takes seconds to start: one process runs all tests that need it.
_TRYTON = pytest.mark.xdist_group("tryton")
_PARAMS = [pytest.param(name, marks=[_TRYTON] if name == "tryton" else []) for name in CASES]


@pytest_asyncio.fixture(params=_PARAMS)
async def case(request: pytest.FixtureRequest) -> AsyncIterator[Case]:
    async with CASES[request.param](request) as opened:
        yield opened


@pytest.fixture(params=[milestones, time_and_materials], ids=["milestones", "time_and_materials"])
def sample(request: pytest.FixtureRequest, case: Case) -> Sample:
    name = number()
    made: Sample = request.param(case.setup, name, f"CUST-{name}")
    return over_time(made) if case.connector.capabilities.dated_rates else made


@pytest.fixture
def fixed_fee(case: Case) -> Sample:
    name = number()
    return milestones(case.setup, name, f"CUST-{name}")
