"""An estate file alone adds a country, a currency, a tax regime, a legal entity and its old ERP with nightly batches.

Workers are killed in the window: before a file is sent, while it is on its way, after it has arrived, and while it
waits for its answer. Each object stands once in the morning.
"""

import time

from tests.acceptance.cloud_firm import deliver, doubles, expected, sow
from tests.acceptance.consistency import journal_agrees_with
from tests.acceptance.legacy_firm import Mainframe, terms_of
from tests.acceptance.processes import House

CONTRACTS = 8
_HANDED = "SELECT count(*) FROM core.contract WHERE state = 'waiting' AND last_error LIKE 'handed over%%'"


def test_workers_killed_in_the_window_leave_each_object_once(house: House) -> None:
    warm = Mainframe(house, open_s=300)
    mainframe = Mainframe(house, open_s=max(40.0, 9 * _starts_in(house)))
    assert warm.files() == 0
    terms = [terms_of(number) for number in range(CONTRACTS)]
    api = house.api()
    deliver(api, *(sow(name_of(n), terms[n]) for n in range(CONTRACTS // 2)), batched=True)

    # Before it is sent: while it looks.
    mainframe.fault("latency", "files.list", seconds=3, count=1)
    worker = house.worker()
    house.until("it looks", lambda: mainframe.requests("files.list") > 0)
    worker.kill()
    assert mainframe.files() == 0

    # While the file is on its way: it arrives when its sender is dead.
    mainframe.fault("latency", "batch.send", seconds=2, count=1)
    worker = house.worker()
    house.until("it sends", lambda: mainframe.requests("batch.send") > 0)
    worker.kill()
    house.until("the file arrives", lambda: mainframe.files() == 1)

    # After it has arrived, and before that is committed; with new contracts that share customers.
    mainframe.fault("hang", "batch.send", after_commit=True, count=1)
    deliver(api, *(sow(name_of(n), terms[n]) for n in range(CONTRACTS // 2, CONTRACTS)), batched=True)
    worker = house.worker()
    house.until("another file arrives", lambda: mainframe.files() == 2)
    worker.kill()

    # Before the answer.
    worker = house.worker()
    house.until("all are handed over", lambda: house.number(_HANDED) == CONTRACTS)
    assert house.number("SELECT max(attempt) FROM core.contract") == 0
    assert house.number("SELECT count(*) FROM core.case") == 0
    worker.kill()
    assert set(mainframe.groups().values()) == {1}

    house.worker()
    house.until("all are active", lambda: house.all_are("active", CONTRACTS), within_s=300)
    held = mainframe.held()
    assert doubles(held) == {}
    assert {kind: sum(k == kind for k, _ in held) for kind, _ in held} == expected(terms)
    assert mainframe.not_billable() == []
    journal_agrees_with(house, held)


def name_of(number: int) -> str:
    return f"C-{number:03d}"


def _starts_in(house: House) -> float:
    """Seconds from the start of a worker to its first sign, on this machine at this moment."""
    begun = time.monotonic()
    worker = house.worker()
    house.until("a worker runs", lambda: house.number("SELECT count(*) FROM core.worker") > 0)
    worker.kill()
    return time.monotonic() - begun
