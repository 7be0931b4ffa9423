"""docs/delivery.md says what is: every type, examples that fit their schemas, and a receiver that works."""

import asyncio
import json
import os
import re
import socket
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from jsonschema import Draft202012Validator, FormatChecker
from sqlalchemy.ext.asyncio import AsyncEngine

from sync_core.clock import SystemClock
from sync_core.delivery.messages import OUTGOING
from sync_core.estate.delivery import PREFIX, Subscriber
from sync_core.estate.estate import load
from tests.delivery.support import SECRET, add_outgoing, sending
from tests.engine.support import until
from tests.rows import ESTATE_TEXT

DOCUMENT = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"The data of `(com\.tieline\.[a-z_.0-9]+)`:\n\n```json\n(.*?)```", DOCUMENT, re.DOTALL)


def test_every_type_is_named() -> None:
    named = set(re.findall(r"`([a-z]+\.[a-z_]+\.v\d+)`", DOCUMENT))
    assert {f"{PREFIX}{name}" for name in named} == set(OUTGOING)


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_an_example_fits_its_schema(name: str, example: str) -> None:
    schema = OUTGOING[name].schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(json.loads(example))


def test_the_estate_file_takes_its_examples() -> None:
    blocks = "\n".join(re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL)).replace("NF-US", "US01")
    estate = load(f"{ESTATE_TEXT}\n{blocks}")
    assert [one.name for one in estate.subscriber] == ["books"]
    assert [rule.name for rule in estate.notify] == ["tax", "operations"]


async def test_the_receiver_takes_an_event_and_tells_its_repeat(
    database: sa.Engine, async_database: AsyncEngine
) -> None:
    [program] = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(program.strip().split("\n")) <= 20
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    more = {"SECRET": SECRET, "PORT": str(port)}
    receiver = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env={**os.environ, **more}, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await until(lambda: _listens(port))
        one = Subscriber("books", f"http://127.0.0.1:{port}/", ("SECRET",))
        async with sending(async_database, SystemClock(), one) as sender:
            await sender.declare()
            first = add_outgoing(database, "contract.ended.v1", subject="contract/1")
            await sender.drain()
            with database.begin() as conn:
                conn.execute(sa.text("UPDATE core.subscriber SET sent_seq = :seq"), {"seq": first - 1})
            last = add_outgoing(database, "lane.restored.v1", subject="lane/cloud")
            await sender.drain()
        with database.connect() as conn:
            assert conn.scalar(sa.text("SELECT sent_seq FROM core.subscriber")) == last
    finally:
        receiver.terminate()
        said, _ = await receiver.communicate()
    assert said.decode().split("\n")[:-1] == [
        "com.tieline.contract.ended.v1 contract/1", "com.tieline.lane.restored.v1 lane/cloud",
    ]  # fmt: skip


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
