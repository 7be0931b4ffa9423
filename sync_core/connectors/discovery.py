"""Finds connectors by the `kind` in the estate file: one module or package each in connectors/erp, clm and mdm.

Such a module offers `connect(...)` as ErpFactory, ClmFactory or MdmFactory below; nothing else registers it.
"""

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Protocol, cast

import httpx

from sync_core.clock import Clock
from sync_core.connectors import clm as clm_modules
from sync_core.connectors import erp as erp_modules
from sync_core.connectors import mdm as mdm_modules
from sync_core.errors import InvalidEstate
from sync_core.estate.estate import Clm, Erp
from sync_core.estate.master import Mdm
from sync_core.master.records import MdmConnector
from sync_core.ports import ClmConnector, ErpConnector, Gate


class ErpFactory(Protocol):
    def __call__(
        self,
        erp: Erp,
        /,
        *,
        secret: str | None,
        gate: Gate,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> ErpConnector: ...


class ClmFactory(Protocol):
    def __call__(
        self, clm: Clm, /, *, secrets: Sequence[str], clock: Clock, transport: httpx.AsyncBaseTransport | None = None
    ) -> ClmConnector: ...


class MdmFactory(Protocol):
    def __call__(
        self, mdm: Mdm, /, *, secrets: Sequence[str], clock: Clock, transport: httpx.AsyncBaseTransport | None = None
    ) -> MdmConnector: ...


def erp(kind: str) -> ErpFactory:
    """Raises InvalidEstate, naming the kinds there are, for one that is unknown."""
    return cast("ErpFactory", _connect("erp", kind, erp_modules.__name__, erp_modules.__path__))


def clm(kind: str) -> ClmFactory:
    """Raises InvalidEstate, naming the kinds there are, for one that is unknown."""
    return cast("ClmFactory", _connect("clm", kind, clm_modules.__name__, clm_modules.__path__))


def mdm(kind: str) -> MdmFactory:
    """Raises InvalidEstate, naming the kinds there are, for one that is unknown."""
    return cast("MdmFactory", _connect("mdm", kind, mdm_modules.__name__, mdm_modules.__path__))


def _connect(section: str, kind: str, package: str, path: Sequence[str]) -> object:
    known = sorted(found.name for found in pkgutil.iter_modules(path) if not found.name.startswith("_"))
    name = kind.replace("-", "_")
    if name not in known:
        kinds = ", ".join(known) or "none"
        raise InvalidEstate(f"[[{section}]] kind {kind!r} is unknown; use one of: {kinds}")
    connect: object = getattr(importlib.import_module(f"{package}.{name}"), "connect", None)
    if not callable(connect):
        raise InvalidEstate(f"[[{section}]] kind {kind!r}: its module has no function connect; add one to it")
    return connect
