"""How each command of the command line begins: settings, log lines, and the life-line to `tieline up`."""

from typing import TYPE_CHECKING

from app.processes import end_with_supervisor
from app.settings import Settings, load
from app.telemetry import logs

if TYPE_CHECKING:
    from app.wiring import Wiring


def begin(part: str, **given: object) -> Settings:
    """Once per process. `given`: what the command line says, which goes before the environment."""
    settings = load(**given)
    logs.configure(settings, part)
    end_with_supervisor(settings.lifeline_fd)
    return settings


def wiring_of(part: str) -> "Wiring":
    """Begins, for a command that needs the estate or the database. Imported late: `--help` should not wait for it."""
    from app.wiring import Wiring

    return Wiring(begin(part), part)
