"""What the dashboard draws from, handed to the script threads that Streamlit starts.

Streamlit runs `app/dashboard.py` anew for each visit and offers no way to pass it arguments, so the process keeps one
context here. `app.web.web.build` sets it; a bare `streamlit run app/dashboard.py` has nobody
who would, and asks the wiring.
"""

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Protocol, cast

from pages.kit.frame import Viewer
from sync_core.authority import Actor


class Limitable(Protocol):
    """What can be read, and what of it a viewer may see."""

    def within(self, actor: Actor) -> object:
        """The same, limited to the actor's reach."""
        ...


_lock = threading.Lock()
_held: list["DashboardContext"] = []


@dataclass(frozen=True, slots=True)
class DashboardContext:
    """One per process. A page gets `reads` and `measures` limited to its viewer, and `commands` untouched."""

    reads: Limitable
    commands: object
    measures: Limitable | None = None  # a page asks for it by pages.kit.frame.measures()
    pages_package: str = "pages"
    # Set where no gate stands in front (bare streamlit, AppTest): then this person is taken and headers are not.
    local_viewer: Viewer | None = None
    notice: Callable[[], str | None] | None = None  # a phrase at the head of each page, while it has something to say


@cache
def about() -> str:
    """Which Tieline it is, for the menu of the pages."""
    return f"Tieline {version('tieline')}: contracts and ERPs in step."


def set_context(context: DashboardContext) -> None:
    """Make `context` the one that every later script run uses."""
    with _lock:
        _held[:] = [context]


def current_context() -> DashboardContext:
    """The context of this process, built by the wiring if nobody has set one."""
    with _lock:
        if not _held:
            # By name: the wiring imports app.web.web, which imports this module.
            build = importlib.import_module("app.wiring").dashboard_context
            _held.append(cast("DashboardContext", build()))
        return _held[0]
