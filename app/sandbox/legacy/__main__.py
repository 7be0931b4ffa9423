"""`python -m app.sandbox.legacy`: the sandbox as a process of its own; says where it is on one line of JSON."""

import argparse
import asyncio
import secrets
import signal
import sys
from datetime import time
from pathlib import Path

import orjson
import uvloop

from app.sandbox.cloud.serve import serving
from app.sandbox.legacy.server import build
from sync_core.clock import SystemClock
from sync_core.lanes.batches import BatchWindow


async def run(options: argparse.Namespace) -> None:
    app = build(
        SystemClock(),
        window=BatchWindow(options.opens, options.closes, options.answers, options.zone),
        seed=options.seed,
        user=options.user,
        password=options.password or secrets.token_urlsafe(16),
        admin_token=options.admin_token or secrets.token_urlsafe(16),
        state=options.state,
        at_once=options.at_once,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with serving(app, host=options.host, port=options.port) as url:
            ready = {"url": url, "user": app.user, "password": app.password, "admin_token": app.admin_token}
            sys.stdout.write(orjson.dumps(ready).decode() + "\n")
            sys.stdout.flush()
            await stop.wait()
    finally:
        app.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.sandbox.legacy")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--state", type=Path, help="file that keeps the records over a restart")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--user", default="tieline")
    parser.add_argument("--password", help="without it, a random one")
    parser.add_argument("--admin-token", help="without it, a random one")
    parser.add_argument("--opens", type=time.fromisoformat, default=time(22))
    parser.add_argument("--closes", type=time.fromisoformat, default=time(4))
    parser.add_argument("--answers", type=time.fromisoformat, default=time(6))
    parser.add_argument("--zone", default="UTC")
    parser.add_argument("--at-once", action="store_true", help="a night after each batch, the window always open")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
