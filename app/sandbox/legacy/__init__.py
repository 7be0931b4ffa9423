"""sandbox-legacy: an old ERP as a process of its own. Batches at night, fixed-width records, no update, no keys.

docs/legacy_erp.md is its manual.
"""
