"""Log lines: short ones for people, or one JSON object a line; never with a password in them.

Services that run alone write JSON, because a collector reads them; `tieline up` and the commands write for people.
TIELINE_LOG_FORMAT says otherwise. Secrets go by their look (below) and by their value (`hide`): whatever this process
was given as a secret is never written, wherever it turns up.
"""

import logging
import re
import sys
import threading
from datetime import UTC, datetime
from urllib.parse import quote

import orjson
from psycopg.conninfo import conninfo_to_dict

from app.settings import Settings
from sync_core.telemetry.log_context import concerned

SERVICES = frozenset({"web", "api", "dashboard", "worker", "sandbox"})
_SHORTEST = 8  # a value that is shorter would blank out words

# user:password@ of any URL, tokens, secrets, codes and one-time links, wherever they come from.
_SECRETS = (
    (re.compile(r"(\w[\w+.-]*://[^\s:/@]*):[^\s@/]+@"), r"\1:***@"),
    (re.compile(r"(https?://)[^\s:/@]{8,}@"), r"\1***@"),
    (re.compile(r"(?i)(bearer\s+)[\w.~+/=-]+"), r"\1***"),
    (re.compile(r"(?i)(authorization\W+basic\s+)[\w+/=-]+"), r"\1***"),
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|x-api-key|api-key|cookie|set-cookie)(['\"]?\s*[:=]\s*['\"]?)[^\r\n'\"]+"
        ),
        r"\1\2***",
    ),
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


_values: set[str] = set()  # of secrets that this process was given
_hidden = re.compile("(?!)")
_lock = threading.Lock()


def hide(secret: str) -> None:
    """Never write this value again, in no line of this process."""
    global _hidden
    if len(secret) < _SHORTEST or secret in _values:
        return
    with _lock:
        _values.update((secret, quote(secret, safe="")))
        _hidden = re.compile("|".join(re.escape(one) for one in sorted(_values, key=len, reverse=True)))


def without_secrets(text: str) -> str:
    text = _hidden.sub("***", text)
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
    """Time, level, part, logger, message; in a run's lines correlation_id, trace_id and contract besides, in those of a
    request correlation_id.
    """

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
        line |= {name: without_secrets(value) for name, value in concerned().items()}
        correlation_id = getattr(record, "correlation_id", None)
        if correlation_id is not None:
            line["correlation_id"] = without_secrets(str(correlation_id))
        if record.exc_info:
            line["traceback"] = without_secrets(self.formatException(record.exc_info))
        return orjson.dumps(line).decode()


def configure(settings: Settings, part: str) -> None:
    """Send all logging of this process to stderr. Once per process."""
    handler = logging.StreamHandler(sys.stderr)
    name = settings.log_part or part
    for url in (settings.database_url, settings.database_owner_url, settings.database_direct_url,
                settings.read_database_url, settings.tryton_database_url):  # fmt: skip
        if url is not None and (password := conninfo_to_dict(url.get_secret_value()).get("password")):
            hide(str(password))
    handler.setFormatter(JsonLines(name) if format_of(settings, part) == "json" else ShortLines(name))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for noisy, level in _QUIET.items():
        logging.getLogger(noisy).setLevel(level)


def format_of(settings: Settings, part: str) -> str:
    """What was asked for; else JSON for a service, unless `tieline up` shows its lines to a person."""
    return settings.log_format or ("json" if part in SERVICES and not settings.log_part else "text")


def take_over() -> None:
    """Streamlit, when imported, gives uvicorn's loggers and its own other handlers: put ours back in their place."""
    for name in ("streamlit", "uvicorn"):
        for known in (name, *(one for one in logging.root.manager.loggerDict if one.startswith(f"{name}."))):
            logger = logging.getLogger(known)
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET if "." in known else logging.WARNING)
