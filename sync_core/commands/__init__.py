"""What people and programs may change: each command checks its actor, does one thing and audits it, in one transaction.

`Commands` is what pages, the API and the command line call. Reads are in sync_core/reads.
"""
