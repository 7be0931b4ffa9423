"""Runs a process's work until it is done, or until somebody asks it to stop."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Final

_SAME_SIGNAL_S: Final = 1.0


def run(work: Callable[[asyncio.Event], Awaitable[None]], *, again: Callable[[], None] | None = None) -> None:
    """Run until done or until a signal has made it stop. `again` is for the second signal."""
    import uvloop

    async def until_signal() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        first: list[float] = []

        def on_signal() -> None:
            # One Ctrl-C may come twice, from the terminal and from a program around us.
            if first and loop.time() > first[0] + _SAME_SIGNAL_S and again is not None:
                again()
            first.append(loop.time())
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, on_signal)
        await work(stop)

    uvloop.run(until_signal())
