"""Log lines: short ones for people, or one JSON object a line; never with a password in them."""

import logging
import re
import sys
from datetime import UTC, datetime

import orjson

from app.settings import Settings

# user:password@ of any URL, tokens, secrets, codes and one-time links, wherever they come from.
_SECRETS = (
    (re.compile(r"(\w[\w+.-]*://[^\s:/@]*):[^\s@/]+@"), r"\1:***@"),
    (re.compile(r"(?i)(bearer\s+)[\w.~+/=-]+"), r"\1***"),
    (re.compile(r"(?i)(authorization\W+basic\s+)[\w+/=-]+"), r"\1***"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), "***"),
    (re.compile(r"\b(tl[st]_)[\w-]{20,}"), r"\1***"),
    (re.compile(r"([?&](?:code|state|nonce)=)[^\s&\"']+"), r"\1***"),
    (re.compile(r"(?i)\b(client_secret|code_verifier|(?:id|access|refresh|logout)_token)(=)[^\s&\"']+"), r"\1\2***"),
    (re.compile(r"whsec_[\w+/=-]+"), "whsec_***"),
    (re.compile(r"(/enter\?t=)[\w-]+"), r"\1***"),
    (re.compile(r"(?i)(password=)('[^']*'|\S+)"), r"\1***"),
)
_QUIET = {
    "alembic": logging.WARNING,
    "apscheduler": logging.ERROR,
    "httpx": logging.WARNING,
    "uvicorn": logging.WARNING,
}


def without_secrets(text: str) -> str:
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class ShortLines(logging.Formatter):
    """`12:04:31 worker  warning: lane cloud stops: ...`"""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        clock = self.formatTime(record, "%H:%M:%S")
        text = f"{clock} {self._part:<8} {level}{record.getMessage()}"
        if record.exc_info:
            text += f"\n{self.formatException(record.exc_info)}"
        return without_secrets(text)


class JsonLines(logging.Formatter):
    """Time, level, part, logger, message; and correlation_id where the caller gave one by `extra`."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._part,
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        correlation_id = getattr(record, "correlation_id", None)
        if correlation_id is not None:
            line["correlation_id"] = str(correlation_id)
        if record.exc_info:
            line["traceback"] = without_secrets(self.formatException(record.exc_info))
        return orjson.dumps(line).decode()


def configure(settings: Settings, part: str) -> None:
    """Send all logging of this process to stderr. Once per process."""
    handler = logging.StreamHandler(sys.stderr)
    name = settings.log_part or part
    handler.setFormatter(JsonLines(name) if settings.log_format == "json" else ShortLines(name))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for noisy, level in _QUIET.items():
        logging.getLogger(noisy).setLevel(level)


def take_over() -> None:
    """Streamlit, when imported, gives uvicorn's loggers and its own other handlers: put ours back in their place."""
    for name in ("streamlit", "uvicorn"):
        for known in (name, *(one for one in logging.root.manager.loggerDict if one.startswith(f"{name}."))):
            logger = logging.getLogger(known)
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET if "." in known else logging.WARNING)
