"""sandbox-cloud, the cloud ERP that Tieline brings along."""

from sync_core.connectors.erp.sandbox_cloud.connector import connect

__all__ = ["connect"]
