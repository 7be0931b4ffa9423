"""Every error Tieline raises, and the one taxonomy that the core, the API, the journal and the pages share.

`ErrorClass` says what happens next (see docs/architecture.md, "Errors and exceptions"); `code` is stable:
it is stored, counted and translated, so it is never renamed.
"""

from enum import StrEnum
from typing import ClassVar


class ErrorClass(StrEnum):
    """What kind of trouble it is, and so what the engine does with it."""

    TRANSIENT = "transient"
    AMBIGUOUS = "ambiguous"
    MISSING_DATA = "missing_data"
    REFERENCE_MISSING = "reference_missing"
    ERP_REJECTED = "erp_rejected"
    DUPLICATE_FOUND = "duplicate_found"
    OWNERSHIP_CONFLICT = "ownership_conflict"
    DRIFT = "drift"
    SEQUENCE_GAP = "sequence_gap"
    SCHEMA_UNKNOWN = "schema_unknown"
    POLICY_DENIED = "policy_denied"
    CREDENTIALS = "credentials"
    INTERNAL = "internal"


class Function(StrEnum):
    """The business function that owns an exception."""

    LEGAL = "legal"
    FINANCE_OPERATIONS = "finance_operations"
    TAX = "tax"
    MASTER_DATA = "master_data"
    DELIVERY = "delivery"
    INTEGRATION = "integration"


class TielineError(Exception):
    """Root of all errors of ours. The message is one sentence that says what to do next."""

    code: ClassVar[str] = "tieline.error"
    error_class: ClassVar[ErrorClass] = ErrorClass.INTERNAL

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ErpError(TielineError):
    """Something an ERP did or failed to do; `system` is the ERP's name in the estate file."""

    code = "erp.error"

    def __init__(self, system: str, message: str) -> None:
        super().__init__(f"{system}: {message}")
        self.system, self.words = system, message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.system, self.words)


class ErpUnavailable(ErpError):
    """Nothing was written: refused connection, 5xx on a read, time-out before sending. Retry later."""

    code = "erp.unavailable"
    error_class = ErrorClass.TRANSIENT


class ErpRateLimited(ErpError):
    """The ERP refused for load; wait `retry_after_s`, no attempt is spent."""

    code = "erp.rate_limited"
    error_class = ErrorClass.TRANSIENT

    def __init__(self, system: str, retry_after_s: float) -> None:
        super().__init__(system, f"asked us to wait {retry_after_s:g} s")
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[type, tuple[str, float]]:  # type: ignore[override]
        return type(self), (self.system, self.retry_after_s)


class ErpAmbiguous(ErpError):
    """A write was sent and its outcome is unknown: settle, look up by business key, then adopt or send."""

    code = "erp.ambiguous"
    error_class = ErrorClass.AMBIGUOUS


class ErpRejected(ErpError):
    """The ERP refused the write for a business reason; `words` are its own. A person must decide."""

    code = "erp.rejected"
    error_class = ErrorClass.ERP_REJECTED


class ErpCredentials(ErpError):
    """401 or 403: the lane pauses and one alert goes out; renew the credentials in the estate."""

    code = "erp.credentials"
    error_class = ErrorClass.CREDENTIALS


class ErpAnswerIncomplete(ErpError):
    """The ERP's answer lost a field we must have; the lane pauses before any write."""

    code = "erp.answer_incomplete"
    error_class = ErrorClass.SCHEMA_UNKNOWN


READ_BACK_WORDS = "after the write it still needs"  # in every message of the next one: the journal is counted by it


class ReadBackMismatch(ErpError):
    """What the ERP holds after the write is not what was written; converge again."""

    code = "erp.read_back_mismatch"
    error_class = ErrorClass.AMBIGUOUS


class ClmError(TielineError):
    """The CLM could not be read or written; the next poll or write-back tries again."""

    code = "clm.error"
    error_class = ErrorClass.TRANSIENT

    def __init__(self, source: str, message: str) -> None:
        super().__init__(f"{source}: {message}")
        self.source, self.words = source, message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.source, self.words)


class LeaseLost(TielineError):
    """This worker may no longer act for the contract: another one holds it, or its time is nearly up."""

    code = "engine.lease_lost"
    error_class = ErrorClass.TRANSIENT


class StoredEventUnreadable(TielineError):
    """A stored event no longer fits its schema: this release broke a reader. Restore it; nothing is lost."""

    code = "engine.stored_event_unreadable"


class WorkersLost(TielineError):
    """Each worker that took this contract died or could not store what it did; it is set aside for a person."""

    code = "engine.workers_lost"


class InvalidMoney(TielineError):
    """An amount or currency that cannot be money, for instance half a Paraguayan guarani."""

    code = "money.invalid"
    error_class = ErrorClass.MISSING_DATA


class InvalidEstate(TielineError):
    """The estate file contradicts itself or lacks something; the message names the key."""

    code = "estate.invalid"


class EventRefused(TielineError):
    """Root of what intake answers with a 4xx: nothing was stored, the sender must change the request."""

    code = "event.refused"


class MalformedEvent(EventRefused):
    """The body is not JSON, or not a CloudEvent (a required attribute is missing or wrong)."""

    code = "event.malformed"


class BadSignature(EventRefused):
    """No valid signature within the five-minute window; check the secret and the sender's clock."""

    code = "event.bad_signature"


class EventTooLarge(EventRefused):
    """The body is over the limit; split the batch."""

    code = "event.too_large"


class UnsupportedMediaType(EventRefused):
    """Content-Type is none of the CloudEvents HTTP modes."""

    code = "event.unsupported_media_type"
