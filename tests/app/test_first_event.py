"""What docs/events.md tells a user to type works, against a real server on a real port."""

import asyncio
import base64
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.home import Home
from app.web import webhooks
from app.web.webhooks import Intake
from sync_core.clock import SystemClock
from sync_core.errors import EventRefused
from sync_core.estate.estate import Clm
from sync_core.intake.signatures import signing_key
from sync_core.journal.bell import Bell
from tests.event_examples import DOCUMENT
from tests.intake.deliveries import rows
from tests.sows import estate

SOURCE = "urn:example:clm"
SECRET = "whsec_" + base64.b64encode(bytes(range(200, 232))).decode()


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The socket listens before the server runs, so nobody has to wait for it."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await task


def shell_block() -> str:
    blocks: list[str] = re.findall(r"^```bash\n(.*?)^```$", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if "curl" in block)


async def test_the_secret_of_the_demo_is_where_the_documentation_says(tmp_path: Path) -> None:
    made = Home(tmp_path / ".tieline")
    made.prepare()
    kept = made.make_secrets()["TIELINE_SANDBOX_CLM_SECRET"]
    (export,) = re.findall(r"^export TIELINE_CLM_SECRET=.*$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert await run(f'{export}\nprintf %s "$TIELINE_CLM_SECRET"', "", tmp_path) == kept


async def run(script: str, url: str, directory: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "TIELINE_URL": url, "TIELINE_CLM_SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script, cwd=directory, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="the text asks for curl and openssl")
async def test_the_first_event_of_the_documentation_is_accepted(async_database: AsyncEngine, tmp_path: Path) -> None:
    known = replace(estate(), clm=(Clm("clm", SOURCE, "sandbox"),))
    intake = Intake(async_database, known, {SOURCE: [signing_key(SECRET)]}, SystemClock(), Bell(async_database))
    app = FastAPI()
    app.include_router(webhooks.router(intake))
    async with serving(app) as url:
        first = await run(shell_block(), url, tmp_path)
        again = await run(shell_block(), url, tmp_path)
    await intake.bell.aclose()
    assert '"status":"accepted"' in first
    assert again == first.replace("accepted", "duplicate")
    assert len(await rows(async_database, "SELECT 1 FROM core.event WHERE external_id = 'C-1001'")) == 1


def test_every_refusal_is_in_the_documentation() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for error in EventRefused.__subclasses__():
        assert f"`{error.code}`" in text
