"""The process that tests/command_line.py forks commands from. Run as a file, with the number of its end of a socket."""

import atexit
import gc
import json
import os
import socket
import sys
import traceback
from importlib import import_module
from typing import Final, NoReturn

from app.cli.catalogue import COMMANDS
from app.cli.main import main

# What commands import when they run. What a web server needs is not among it: such commands are started as processes.
_COMMONLY: Final = (
    "app.api.exception_views", "app.api.kpi_views", "app.api.replay_views", "app.cli.explaining",
    "app.jobs.snapshots", "app.wiring", "metrics.measures", "pandas", "sync_core.commands.commands",
    "sync_core.reads.reads",
)  # fmt: skip
_LARGEST: Final = 1 << 20


def serve(control: socket.socket) -> None:
    """Until nobody is at the other end."""
    while True:
        message, fds, _, _ = socket.recv_fds(control, _LARGEST, 2)
        if not message:
            return
        child = os.fork()
        if child == 0:
            control.close()
            end(become(json.loads(message), fds))
        for fd in fds:
            os.close(fd)
        control.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        control.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(asked: dict[str, str], fds: list[int]) -> int:
    """Carries the command out; its exit code."""
    for given, place in zip(fds, (sys.stdout.fileno(), sys.stderr.fileno()), strict=True):
        os.dup2(given, place)
        os.close(given)
    os.environ.clear()
    os.environ.update(json.loads(asked["environment"]))
    sys.argv = ["tieline", *json.loads(asked["arguments"])]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def end(code: int) -> NoReturn:
    """As an interpreter does, but for taking apart what was imported, which would cost as much as importing it."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    for module in (*_COMMONLY, *sorted({f"app.cli.{one.place.partition(':')[0]}" for one in COMMANDS})):
        import_module(module)
    gc.freeze()  # so that a child shares its pages with us
    serve(socket.socket(fileno=int(sys.argv[1])))
