"""What pages, the API and the command line read. Everything they need is named here."""

from sync_core.reads.ages import CALENDAR_BUCKETS, WORKING_BUCKETS, AgeBucket, Ageing
from sync_core.reads.amounts import MoneyTotal, Unconverted
from sync_core.reads.approvals import ApprovalPage, ApprovalRow
from sync_core.reads.attention import CauseGroup
from sync_core.reads.audit import AuditChoices, AuditFilter, AuditPage, AuditRow, ChainStatus
from sync_core.reads.case import CaseAction, CaseDetail, CaseMoment
from sync_core.reads.case_groups import CaseGroup
from sync_core.reads.choices import Choices
from sync_core.reads.contract import ContractDetail
from sync_core.reads.contracts import ContractFilter, ContractPage, ContractRow, Sort, contracts_frame
from sync_core.reads.exceptions import (
    ExceptionFilter,
    ExceptionPage,
    ExceptionRow,
    ExceptionSort,
    exceptions_frame,
)
from sync_core.reads.filters import SavedFilter
from sync_core.reads.holds import HoldFilter, HoldPage, HoldRow
from sync_core.reads.paging import Cursor, InvalidCursor, Window
from sync_core.reads.quarantine import QuarantinedEvent, QuarantineFilter, QuarantinePage
from sync_core.reads.reads import Reads
from sync_core.reads.running import JobState, LaneState, Status, WorkerState

__all__ = [
    "CALENDAR_BUCKETS",
    "WORKING_BUCKETS",
    "AgeBucket",
    "Ageing",
    "ApprovalPage",
    "ApprovalRow",
    "AuditChoices",
    "AuditFilter",
    "AuditPage",
    "AuditRow",
    "CaseAction",
    "CaseDetail",
    "CaseGroup",
    "CaseMoment",
    "CauseGroup",
    "ChainStatus",
    "Choices",
    "ContractDetail",
    "ContractFilter",
    "ContractPage",
    "ContractRow",
    "Cursor",
    "ExceptionFilter",
    "ExceptionPage",
    "ExceptionRow",
    "ExceptionSort",
    "HoldFilter",
    "HoldPage",
    "HoldRow",
    "InvalidCursor",
    "JobState",
    "LaneState",
    "MoneyTotal",
    "QuarantineFilter",
    "QuarantinePage",
    "QuarantinedEvent",
    "Reads",
    "SavedFilter",
    "Sort",
    "Status",
    "Unconverted",
    "Window",
    "WorkerState",
    "contracts_frame",
    "exceptions_frame",
]
