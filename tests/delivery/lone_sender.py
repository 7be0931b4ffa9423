"""Test only: a process that sends to one subscriber until it is killed. Arguments: database URL, receiver's URL."""

import asyncio
import sys

from sqlalchemy.ext.asyncio import create_async_engine

from sync_core.clock import SystemClock
from sync_core.estate.delivery import Subscriber
from tests.delivery.support import sending


async def main(database: str, receiver: str) -> None:
    engine = create_async_engine(database)
    async with sending(engine, SystemClock(), Subscriber("one", receiver, ("SECRET",))) as sender:
        await sender.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
