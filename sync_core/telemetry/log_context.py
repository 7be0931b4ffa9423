"""What every log line of a piece of work says beside its words: which contract, which trace. Of this task and below."""

from collections.abc import Mapping
from contextvars import ContextVar

_NONE: Mapping[str, str] = {}
_CONTEXT: ContextVar[Mapping[str, str]] = ContextVar("tieline_log_context", default=_NONE)


def concerns(**names: str) -> None:
    """From now on in this task, and in tasks that it begins: correlation_id, trace_id, contract."""
    _CONTEXT.set(names)


def concerned() -> Mapping[str, str]:
    return _CONTEXT.get()
