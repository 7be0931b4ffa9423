"""A reason why a contract may not be provisioned yet: what an exception is made of."""

from dataclasses import dataclass

from sync_core.errors import ErrorClass, Function


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a contract may not be provisioned yet."""

    error_class: ErrorClass
    cause: str
    function: Function
    message: str
