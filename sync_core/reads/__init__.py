"""What pages, the API and the command line read. Everything they need is named here."""

from sync_core.reads.amounts import MoneyTotal, Unconverted
from sync_core.reads.attention import AGE_BUCKETS, CauseGroup
from sync_core.reads.choices import Choices
from sync_core.reads.contract import ContractDetail
from sync_core.reads.contracts import ContractFilter, ContractPage, ContractRow, Sort, contracts_frame
from sync_core.reads.cycle import CycleTime
from sync_core.reads.exceptions import (
    ExceptionFilter,
    ExceptionPage,
    ExceptionRow,
    ExceptionSort,
    exceptions_frame,
)
from sync_core.reads.overview import Overview
from sync_core.reads.paging import Cursor, InvalidCursor, Window
from sync_core.reads.reads import Reads
from sync_core.reads.running import JobState, LaneState, Status, WorkerState
from sync_core.reads.waiting import WaitAge

__all__ = [
    "AGE_BUCKETS",
    "CauseGroup",
    "Choices",
    "ContractDetail",
    "ContractFilter",
    "ContractPage",
    "ContractRow",
    "Cursor",
    "CycleTime",
    "ExceptionFilter",
    "ExceptionPage",
    "ExceptionRow",
    "ExceptionSort",
    "InvalidCursor",
    "JobState",
    "LaneState",
    "MoneyTotal",
    "Overview",
    "Reads",
    "Sort",
    "Status",
    "Unconverted",
    "WaitAge",
    "Window",
    "WorkerState",
    "contracts_frame",
    "exceptions_frame",
]
