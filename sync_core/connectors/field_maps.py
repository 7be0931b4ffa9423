"""What each kind of ERP connector calls the fields of our objects: `ERP_FIELDS` of its module, where it has one."""

import importlib
import pkgutil
from collections.abc import Mapping

from sync_core.connectors import erp as erp_modules
from sync_core.desired import Kind
from sync_core.domains.lineage import ErpFields


def erp_fields() -> dict[str, ErpFields]:
    """By kind of connector, those that say so."""
    found: dict[str, ErpFields] = {}
    for module in pkgutil.iter_modules(erp_modules.__path__):
        declared: object = getattr(importlib.import_module(f"{erp_modules.__name__}.{module.name}"), "ERP_FIELDS", None)
        if isinstance(declared, Mapping):
            found[module.name] = {Kind(kind): dict(names) for kind, names in declared.items()}
    return found
