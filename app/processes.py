"""The supervisor of `tieline up`: starts the parts, restarts one that dies, stops them in order.

Parts run in sessions of their own, so that Ctrl-C reaches the supervisor alone and it decides the order. A part
holds the reading end of a pipe (the lifeline); when the supervisor is gone, by whatever means, the pipe ends and
the part stops by itself. Sockets are bound here and handed down: a taken port is known before anything
starts, and callers wait in the queue while a part restarts.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.cli.refusals import Exit, Refusal

log = logging.getLogger(__name__)

_LAST_RESORT_S = 12.0  # a part that has lost its supervisor and does not end by itself


@dataclass(frozen=True, slots=True)
class Restarts:
    """How patient the supervisor is."""

    first_wait_s: float = 0.5
    longest_wait_s: float = 10.0
    most: int = 5  # deaths within `within_s`; one more and the supervisor gives up
    within_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Part:
    """One process of Tieline's. Parts of a higher stage start later and stop earlier."""

    name: str
    command: tuple[str, ...]
    stage: int = 0
    fds: tuple[int, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_s: float = 5.0  # from SIGTERM to SIGKILL


def tieline(*arguments: str) -> tuple[str, ...]:
    """The command line of a part. -P: a folder named `app` where the user stands must not take our place."""
    return (sys.executable, "-P", "-m", "app.cli.main", *arguments)


class Supervisor:
    """Use within one event loop. `failed` is set once a part cannot be kept running."""

    def __init__(self, environment: Mapping[str, str], *, restarts: Restarts = Restarts()) -> None:
        self.environment = dict(environment)
        self.failed: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
        self._restarts = restarts
        self._parts: list[Part] = []
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._lifeline, self._held = os.pipe()

    async def start(self, part: Part) -> None:
        """Start it and keep it running until `stop`."""
        self._parts.append(part)
        await self._spawn(part)
        self._keepers[part.name] = asyncio.create_task(self._keep(part))

    def pid(self, name: str) -> int | None:
        """Of the process that runs now."""
        process = self._running.get(name)
        return process.pid if process and process.returncode is None else None

    async def restart_all(self, environment: Mapping[str, str]) -> None:
        """Let every part begin anew with other settings, for instance another database port."""
        self.environment = dict(environment)
        for process in self._running.values():
            _signal(process, signal.SIGTERM)

    async def stop(self) -> None:
        """Highest stage first; parts of one stage at once. A part that does not end in its time is killed."""
        self._stopping = True
        for keeper in self._keepers.values():
            keeper.cancel()
        await asyncio.gather(*self._keepers.values(), return_exceptions=True)
        for stage in sorted({part.stage for part in self._parts}, reverse=True):
            await asyncio.gather(*(self._stop(part) for part in self._parts if part.stage == stage))
        for handle in (self._lifeline, self._held):
            os.close(handle)

    def hurry(self) -> None:
        """The user is impatient: kill what still runs."""
        for process in self._running.values():
            _signal(process, signal.SIGKILL)

    async def _spawn(self, part: Part) -> None:
        environment = {**self.environment, **part.environment}
        environment |= {"TIELINE_LIFELINE_FD": str(self._lifeline), "TIELINE_LOG_PART": part.name}
        self._running[part.name] = await asyncio.create_subprocess_exec(
            *part.command,
            stdin=asyncio.subprocess.DEVNULL,
            env=environment,
            pass_fds=(self._lifeline, *part.fds),
            start_new_session=True,
        )

    async def _keep(self, part: Part) -> None:
        deaths: deque[float] = deque()
        while True:
            code = await self._running[part.name].wait()
            if code == Exit.SETTINGS:
                self._give_up(
                    Refusal(f"{part.name} cannot run with these settings; see its message above.", Exit(code))
                )
                return
            if code == Exit.BEGIN_AGAIN:
                log.info("%s begins again under another policy", part.name)
                await self._spawn(part)
                continue
            deaths.append(time.monotonic())
            while deaths[0] < deaths[-1] - self._restarts.within_s:
                deaths.popleft()
            if len(deaths) > self._restarts.most:
                self._give_up(_keeps_dying(part, code, len(deaths)))
                return
            wait_s = min(self._restarts.first_wait_s * 2 ** (len(deaths) - 1), self._restarts.longest_wait_s)
            log.warning("%s ended (%s) and starts again in %g s", part.name, _ending(code), wait_s)
            await asyncio.sleep(wait_s)
            await self._spawn(part)

    def _give_up(self, refusal: Refusal) -> None:
        if not self.failed.done():
            self.failed.set_result(refusal)

    async def _stop(self, part: Part) -> None:
        process = self._running[part.name]
        if process.returncode is not None:
            return
        _signal(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), part.stop_s)
        except TimeoutError:
            log.warning("%s did not stop within %g s and is killed", part.name, part.stop_s)
            _signal(process, signal.SIGKILL)
            await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(number)


def _ending(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _keeps_dying(part: Part, code: int, deaths: int) -> Refusal:
    return Refusal(
        f"{part.name} ended {deaths} times in a row, last with {_ending(code)}; its messages above say why.",
        Exit.PART_DIES,
    )


def end_with_supervisor(lifeline_fd: int | None) -> None:
    """In a part: stop when the supervisor is gone, first politely, then by force. Returns at once."""
    if lifeline_fd is None:
        return
    os.set_inheritable(lifeline_fd, False)

    def watch() -> None:
        while os.read(lifeline_fd, 1):
            pass
        log.warning("tieline up is gone; this part stops too")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_LAST_RESORT_S)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
