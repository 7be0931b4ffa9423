"""One KPI a module, each with KPI; they never import each other. Definitions: docs/kpis.md."""
