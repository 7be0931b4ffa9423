"""Tryton 8.2 with its modules project_invoice and project_revenue, over JSON-RPC."""

from sync_core.connectors.erp.tryton.connector import connect

__all__ = ["connect"]
