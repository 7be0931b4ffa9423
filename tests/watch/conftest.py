"""Two active contracts, one of each kind of billing."""

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.engine.governed import Desk
from tests.sows import cloud_event, signed, tm_terms


@pytest.fixture
async def desk(async_database: AsyncEngine, database: sa.Engine) -> Desk:
    desk = Desk(async_database, sync=database)
    await desk.arrive(
        cloud_event("a", "signed.v1", signed("A-1")), cloud_event("b", "signed.v1", signed("B-1", tm_terms()))
    )
    await desk.run()
    assert set((await desk.states()).values()) == {"active"}
    return desk
