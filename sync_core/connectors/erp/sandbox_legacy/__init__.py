"""sandbox-legacy, the old ERP that Tieline brings along: batches at night, fixed-width records."""

from sync_core.connectors.erp.sandbox_legacy.connector import check, connect
from sync_core.connectors.erp.sandbox_legacy.mapping import FIELDS, keeps

ERP_FIELDS = {kind: {"key": "key", **names} for kind, names in FIELDS.items()}

__all__ = ["ERP_FIELDS", "check", "connect", "keeps"]
