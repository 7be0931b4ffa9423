"""`python -m app.sandbox.cloud`: the sandbox as a process of its own; says where it is on one line of JSON."""

import argparse
import asyncio
import secrets
import signal
import sys
from pathlib import Path

import orjson
import uvloop

from app.sandbox.cloud.serve import serving
from app.sandbox.cloud.server import build
from sync_core.clock import SystemClock


async def run(options: argparse.Namespace) -> None:
    app = build(
        SystemClock(),
        seed=options.seed,
        client_id=options.client_id,
        client_secret=options.client_secret or secrets.token_urlsafe(16),
        admin_token=options.admin_token or secrets.token_urlsafe(16),
        state=options.state,
        unique_keys=not options.no_unique_keys,
    )
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with serving(app, host=options.host, port=options.port) as url:
            ready = {"url": url, "client_id": app.tokens.client_id, "client_secret": app.tokens.client_secret}
            sys.stdout.write(orjson.dumps({**ready, "admin_token": app.admin_token}).decode() + "\n")
            sys.stdout.flush()
            await stop.wait()
    finally:
        app.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.sandbox.cloud")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--state", type=Path, help="file that keeps the records over a restart")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--client-id", default="tieline")
    parser.add_argument("--client-secret", help="without it, a random one")
    parser.add_argument("--admin-token", help="without it, a random one")
    parser.add_argument("--no-unique-keys", action="store_true", help="every create makes another record")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
