"""Business and technical measures: one definition each, read by pages, the API and reports.

The engine's own reads (counts, waiting money, cycle time) are in sync_core/reads; measures over time live here.
"""
