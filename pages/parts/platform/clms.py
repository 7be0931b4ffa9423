"""The card of what each CLM and Tieline still owe each other."""

from datetime import timedelta

from metrics.clm_backlog import ClmBacklog
from metrics.measures import Measures
from pages.kit import data, frame
from pages.kit import format as fmt
from pages.kit.table import table
from pages.parts.platform import words as told
from sync_core.reads import Reads

_COLUMNS = ["CLM", "Feed read", "Missed by webhooks, 24 h", "Not understood", "Reports due"]


def backlog(reads: Reads, measures: Measures, window: timedelta) -> None:
    with frame.card(
        "clms", "CLM backlog", "What each CLM sent that is not worked on yet, and what it is still to be told",
        definition="Feed read: how long ago its feed was read to the end, by the scheduled poll. Missed by webhooks: "
        "events of the last 24 hours that only the poll brought; the first poll of a new CLM brings all. Not "
        "understood: in quarantine. Reports due: contracts whose state, project or invoices it has not been told yet, "
        "and how long the first of them has been due. Sampled each minute.",
    ):  # fmt: skip
        found = data.report(reads, measures, window).clms
        if not found:
            frame.empty("Nothing was sampled yet.", "A worker samples each minute; see that one runs.",
                        icon=":material/draft:")  # fmt: skip
            return
        table("clms", _COLUMNS, [_row(name, one) for name, one in found.items()])
        if any(one.not_understood for one in found.values()):
            frame.link("exceptions", "What was not understood", icon=":material/help:", view="quarantine")


def _row(name: str, one: ClmBacklog) -> list[str]:
    read = "never" if one.feed_age_s is None else f"{told.age(one.feed_age_s)} ago"
    oldest = "" if one.reports_oldest_s is None else f", oldest {told.age(one.reports_oldest_s)}"
    return [name, read, fmt.count(one.found_by_poll), fmt.count(one.not_understood),
            f"{fmt.count(one.reports_due)}{oldest}"]  # fmt: skip
