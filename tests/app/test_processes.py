"""Parts are kept running, given up with a sentence, stopped in order, and never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.cli.refusals import Exit
from app.processes import Part, Restarts, Supervisor
from tests.engine.support import until

QUICK = Restarts(first_wait_s=0.01, longest_wait_s=0.01, most=3, within_s=60)

# Says in the file that it runs; ends at SIGTERM and says that too.
POLITE = """
import pathlib, signal, sys
diary, name = pathlib.Path(sys.argv[1]), sys.argv[2]
def note(word):
    with diary.open("a") as file: file.write(f"{name} {word}\\n")
signal.signal(signal.SIGTERM, lambda *_: (note("ends"), sys.exit(0)))
note("runs")
while True: signal.pause()
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"

# A supervisor as a process of its own, with one part that prints its pid.
ORPHANING = """
import asyncio, os, sys
from app.processes import Part, Supervisor
PART = '''
import os, signal, sys
from app.processes import end_with_supervisor
end_with_supervisor(int(os.environ["TIELINE_LIFELINE_FD"]))
print(os.getpid(), flush=True)
while True: signal.pause()
'''
async def main():
    supervisor = Supervisor(dict(os.environ))
    await supervisor.start(Part("orphan", (sys.executable, "-P", "-c", PART)))
    await asyncio.Event().wait()
asyncio.run(main())
"""


@asynccontextmanager
async def supervising(restarts: Restarts = QUICK) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor({"PATH": os.environ["PATH"]}, restarts=restarts)
    try:
        yield supervisor
    finally:
        await supervisor.stop()


def polite(diary: Path, name: str, *, stage: int = 0) -> Part:
    return Part(name, (sys.executable, "-c", POLITE, str(diary), name), stage=stage)


def says(diary: Path, *lines: str) -> Callable[[], Awaitable[bool]]:
    async def said() -> bool:
        return set(lines) <= set(entries(diary))

    return said


def entries(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []


async def test_parts_stop_in_the_reverse_order_of_their_stages(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    async with supervising() as supervisor:
        for stage, name in enumerate(("sandbox", "worker", "web")):
            await supervisor.start(polite(diary, name, stage=stage))
        await until(says(diary, "sandbox runs", "worker runs", "web runs"))
    ends = [line for line in entries(diary) if line.endswith("ends")]
    assert ends == ["web ends", "worker ends", "sandbox ends"]


async def test_a_part_that_is_killed_starts_again(tmp_path: Path) -> None:
    diary = tmp_path / "diary"
    async with supervising() as supervisor:
        await supervisor.start(polite(diary, "worker"))
        await until(says(diary, "worker runs"))
        first = supervisor.pid("worker")
        assert first is not None
        os.kill(first, signal.SIGKILL)

        async def runs_again() -> bool:
            return entries(diary).count("worker runs") == 2

        await until(runs_again)
        assert supervisor.pid("worker") != first
        assert not supervisor.failed.done()


async def test_a_part_that_keeps_dying_is_given_up_with_a_sentence() -> None:
    async with supervising() as supervisor:
        await supervisor.start(Part("worker", (sys.executable, "-c", "raise SystemExit(3)")))
        refusal = await asyncio.wait_for(supervisor.failed, 20)
    assert refusal.exit_code is Exit.PART_DIES
    assert "worker ended 4 times in a row, last with exit code 3" in refusal.message


async def test_a_part_with_wrong_settings_is_not_tried_again() -> None:
    async with supervising() as supervisor:
        await supervisor.start(Part("worker", (sys.executable, "-c", f"raise SystemExit({int(Exit.SETTINGS)})")))
        refusal = await asyncio.wait_for(supervisor.failed, 20)
    assert refusal.exit_code is Exit.SETTINGS


async def test_a_part_that_does_not_listen_is_killed_in_its_time(caplog: pytest.LogCaptureFixture) -> None:
    reading, writing = os.pipe()
    part = Part("deaf", ("bash", "-c", f'exec "{sys.executable}" -c "{DEAF}" >&{writing}'), fds=(writing,), stop_s=0.2)
    async with supervising() as supervisor:
        await supervisor.start(part)
        assert await asyncio.to_thread(os.read, reading, 4) == b"deaf"
    os.close(reading)
    os.close(writing)
    assert "deaf did not stop within 0.2 s and is killed" in caplog.text


async def test_a_part_ends_by_itself_when_its_supervisor_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHANING], stdout=subprocess.PIPE) as supervisor:  # noqa: ASYNC220
        assert supervisor.stdout is not None
        orphan = int(await asyncio.to_thread(supervisor.stdout.readline))
        supervisor.kill()
        # The pipe ends when the last process that holds it has ended.
        assert await asyncio.wait_for(asyncio.to_thread(supervisor.stdout.read), 10) == b""

    async def gone() -> bool:
        return not _runs(orphan)

    await until(gone)


def _runs(pid: int) -> bool:
    """A zombie does not run."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
