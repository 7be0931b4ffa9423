"""A made-up portfolio of professional-services contracts: seeded, deterministic, with the defects of real data."""
