"""How each command of the command line begins: settings, log lines, and the life-line to `tieline up`."""

from app import logs
from app.processes import end_with_supervisor
from app.settings import Settings, load


def begin(part: str, **given: object) -> Settings:
    """Once per process. `given`: what the command line says, which goes before the environment."""
    settings = load(**given)
    logs.configure(settings, part)
    end_with_supervisor(settings.lifeline_fd)
    return settings
