"""How a collector writes what it found standing in a minute: one sample per name, system and label."""

from typing import Final

# Fill in `found`, a query of name, system, label and value; binds :at, the minute. What is null is no sample.
INTO: Final = """
    INSERT INTO telemetry.sample (at, name, system, label, value)
    SELECT :at, f.name, f.system, f.label, f.value FROM ({found}) AS f(name, system, label, value)
    WHERE f.value IS NOT NULL ON CONFLICT DO NOTHING
"""
