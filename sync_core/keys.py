"""Identifiers: what each one names, and how the keys that ERPs store are made.

A business key is the same on every run, on every machine and for every order of events, so that an object
can be found again when its ERP reference was never received.
"""

from typing import NewType

ContractId = NewType("ContractId", int)  # our row; never leaves Tieline
ExternalId = NewType("ExternalId", str)  # the contract's id in its CLM, unique only with the CLM source
BusinessKey = NewType("BusinessKey", str)  # names an ERP object on both sides
ErpRef = NewType("ErpRef", str)  # the ERP's own id, as text
Lane = NewType("Lane", str)  # an ERP's name in the estate file: contracts queue per ERP


def contract_key(clm: str, external_id: str) -> BusinessKey:
    """`clm` is the CLM's short name in the estate file (a source URI would be too long for ERP fields)."""
    return BusinessKey(f"{clm}/{external_id}")


def part_key(contract: str, part: str, name: str) -> BusinessKey:
    """Key of a part of a contract, for instance `crm/C-1001#M:design`."""
    return BusinessKey(f"{contract}#{part}:{name}")


def owning_contract(key: str) -> str:
    """The contract key inside a project's or a part's key."""
    return key.partition("#")[0]
