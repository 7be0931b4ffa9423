"""Contract releases of the Open Contracting Data Standard, read as events of contracts. Pure: no I/O, no clock.

packaging: which releases a file holds. values: texts, amounts and dates as publishers write them. reading: what one
release says of its contracts. deciding: what of it is new beside what is on record, as events for intake.
The standard: https://standard.open-contracting.org/1.1/en/schema/reference/ (read 2026-11-26).
"""
