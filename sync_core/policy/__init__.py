"""The policy: decision tables that say what becomes of a contract. Evaluated here and nowhere else."""
