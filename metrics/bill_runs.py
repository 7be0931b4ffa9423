"""The bill runs of the legal entities around a moment, as JSON that statements bind as rows."""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import orjson

from sync_core.estate.bill_runs import next_bill_run
from sync_core.estate.estate import Estate

_LONGEST: Final = timedelta(days=63)  # between two runs of a legal entity


def cut_offs(estate: Estate, at: datetime) -> str:
    """`entity`, `run_on`: the local day of its next run after `at`. Those without runs are absent."""
    runs = [(entity, next_bill_run(entity, at)) for entity in estate.entity]
    rows = [
        {"entity": entity.code, "run_on": run.astimezone(ZoneInfo(entity.timezone)).date().isoformat()}
        for entity, run in runs
        if run is not None
    ]
    return orjson.dumps(rows).decode()


def around(estate: Estate, at: datetime) -> str:
    """`entity`, `last_at`, `next_at`: its last run until `at` and the next one after it; null where there is none."""
    rows: list[dict[str, str | None]] = []
    for code, entity in estate.entities.items():
        last, run = None, next_bill_run(entity, at - _LONGEST)
        while run is not None and run <= at:
            last, run = run, next_bill_run(entity, run)
        rows.append({"entity": code, "last_at": last.isoformat() if last else None,
                     "next_at": run.isoformat() if run else None})  # fmt: skip
    return orjson.dumps(rows).decode()
