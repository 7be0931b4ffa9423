"""The batcher tells a poison item from a lost database."""

import asyncio
from collections.abc import Sequence

import psycopg
import pytest
import sqlalchemy as sa

from sync_core.engine.commit import Batcher


async def all_of(batcher: Batcher[int, int], items: range) -> list[int | BaseException]:
    return await asyncio.gather(*(batcher.submit(item) for item in items), return_exceptions=True)


async def test_a_poison_item_fails_alone() -> None:
    async def store(batch: Sequence[int]) -> Sequence[int]:
        if 13 in batch:
            raise ValueError("13 cannot be stored")
        return batch

    results = await all_of(Batcher(store), range(40))
    assert [place for place, result in enumerate(results) if isinstance(result, ValueError)] == [13]


async def test_a_lost_database_is_tried_once_and_told_to_all() -> None:
    tried = 0

    async def store(batch: Sequence[int]) -> Sequence[int]:
        nonlocal tried
        tried += 1
        raise sa.exc.OperationalError("COMMIT", {}, psycopg.OperationalError("the connection is lost"))

    results = await all_of(Batcher(store), range(48))
    assert tried == 1
    assert all(isinstance(result, sa.exc.OperationalError) for result in results)


@pytest.mark.parametrize("wrong", [psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure])
async def test_a_conflict_in_the_database_is_no_loss_of_it(wrong: type[psycopg.OperationalError]) -> None:
    tried: list[int] = []

    async def store(batch: Sequence[int]) -> Sequence[int]:
        tried.append(len(batch))
        if len(tried) == 1:
            raise sa.exc.OperationalError("UPDATE", {}, wrong("try again"))
        return batch

    assert await all_of(Batcher(store), range(8)) == list(range(8))
    assert tried == [8, 4, 4]
