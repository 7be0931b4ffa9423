"""Tryton 8.2 with its modules project_invoice and project_revenue, over JSON-RPC."""

from sync_core.connectors.erp.tryton.connector import check, connect
from sync_core.connectors.erp.tryton.declared import ERP_FIELDS

__all__ = ["ERP_FIELDS", "check", "connect"]
