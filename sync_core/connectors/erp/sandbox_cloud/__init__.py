"""sandbox-cloud, the cloud ERP that Tieline brings along."""

from sync_core.connectors.erp.sandbox_cloud.connecting import check, connect
from sync_core.connectors.erp.sandbox_cloud.names import ERP_FIELDS

__all__ = ["ERP_FIELDS", "check", "connect"]
