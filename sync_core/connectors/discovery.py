"""Finds connectors by the `kind` in the estate file: one module or package each in connectors/erp, clm and mdm.

Such a module offers `connect(...)` as ErpFactory, ClmFactory or MdmFactory below; nothing else registers it. One with
options offers `check(...)` besides, which tells what is wrong with them without a call, an address or a secret. One of
an ERP that holds less of an object than we say offers `keeps(obj)`: what it would hold, as its capabilities say too.
"""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Protocol, cast

import httpx

from sync_core.clock import Clock
from sync_core.connectors import clm as clm_modules
from sync_core.connectors import erp as erp_modules
from sync_core.connectors import mdm as mdm_modules
from sync_core.desired import ErpObject
from sync_core.errors import InvalidEstate
from sync_core.estate.estate import Clm, Erp, Estate
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


def check(estate: Estate, *, kinds: bool = True) -> None:
    """The options of every system, and its kind if asked. Raises InvalidEstate, as connecting would."""
    for each in estate.erp:
        _check("erp", each, erp_modules.__name__, erp_modules.__path__, kinds=kinds)
    for source in estate.clm:
        # One without a connector only sends, whatever its kind.
        _check("clm", source, clm_modules.__name__, clm_modules.__path__, kinds=kinds and bool(source.url))
    for master in estate.mdm:
        _check("mdm", master, mdm_modules.__name__, mdm_modules.__path__, kinds=kinds)


def keeps(estate: Estate) -> dict[str, Callable[[ErpObject], ErpObject]]:
    """By name of the ERP, of those that hold less of an object than we say; no call, no address and no secret."""
    known = [each for each in estate.erp if _module_name(each.kind) in _known(erp_modules.__path__)]
    modules = {each.name: _module("erp", each.kind, erp_modules.__name__, erp_modules.__path__) for each in known}
    return {name: module.keeps for name, module in modules.items() if hasattr(module, "keeps")}


def _check(section: str, system: Erp | Clm | Mdm, package: str, path: Sequence[str], *, kinds: bool) -> None:
    if not kinds and _module_name(system.kind) not in _known(path):
        return
    checks = getattr(_module(section, system.kind, package, path), "check", None)
    if checks is not None:
        checks(system)


def _connect(section: str, kind: str, package: str, path: Sequence[str]) -> object:
    connect: object = getattr(_module(section, kind, package, path), "connect", None)
    if not callable(connect):
        raise InvalidEstate(f"[[{section}]] kind {kind!r}: its module has no function connect; add one to it")
    return connect


def _module(section: str, kind: str, package: str, path: Sequence[str]) -> ModuleType:
    known, name = _known(path), _module_name(kind)
    if name not in known:
        kinds = ", ".join(known) or "none"
        raise InvalidEstate(f"[[{section}]] kind {kind!r} is unknown; use one of: {kinds}")
    return importlib.import_module(f"{package}.{name}")


def _known(path: Sequence[str]) -> list[str]:
    return sorted(found.name for found in pkgutil.iter_modules(path) if not found.name.startswith("_"))


def _module_name(kind: str) -> str:
    return kind.replace("-", "_")
