"""Test only: snapshots of a seeded firm, and everything that may happen to it afterwards."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from metrics import weeks
from metrics.snapshot import keeping
from metrics.snapshot.making import Maker
from metrics.snapshot.package import Package
from sync_core.audit.checkpoint import Signer
from sync_core.authority import SYSTEM, Permission, person
from sync_core.clock import VirtualClock
from sync_core.commands import snapshots
from sync_core.commands.desk import Act, Desk
from sync_core.estate.estate import Estate
from sync_core.reads.reads import Reads
from tests import rows
from tests.metrics.support import caught_up, settled

SIGNER = Signer.parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
HOSTILE = '=HYPERLINK("http://evil.example","<b>&{{x}} #set")'

CHIEF = person("chief@example.com", ["executive", "operator"])


@dataclass
class Firm:
    """A seeded database whose measures are up to date, and a maker of its snapshots."""

    engine: sa.Engine
    clock: VirtualClock
    estate: Estate
    release: str = "1.2.3"

    @property
    def week(self) -> date:
        return weeks.last_ended(rows.NOW, self.estate.group.timezone)

    @property
    def maker(self) -> Maker:
        return Maker(self.engine, self.clock, self.estate, SIGNER, self.release, "https://tieline.example")

    def ask(self, *, week: date | None = None, as_of: datetime | None = None, scheduled: bool = False) -> int:
        """Its id."""
        desk = Desk(self.engine, self.clock, self.estate)

        def work(act: Act) -> snapshots.SnapshotAsked:
            return snapshots.make(act, week=week or self.week, as_of=as_of, scheduled=scheduled)

        return desk.run(SYSTEM, Permission.SNAPSHOT_WRITE, work).snapshot_id

    def made(self, *, week: date | None = None, as_of: datetime | None = None) -> Package:
        """As a caller on the command line gets it. All that is committed is in it."""
        settled(self.engine)
        return self.maker.make_here(keeping.asked(self.engine, self.ask(week=week, as_of=as_of)))

    def later(self, by: timedelta) -> None:
        self.clock.advance(by)

    def caught_up(self) -> datetime:
        return caught_up(self.engine, self.clock, self.estate, release=self.release).at


def seeded(owner_url: str, contracts: int) -> None:
    """A firm whose measures are up to date; one contract of the last ended week has a hostile id and title."""
    rows.seed(owner_url, contracts)
    engine = sa.create_engine(owner_url, poolclass=sa.NullPool)
    with engine.begin() as conn:
        bound = {"text": HOSTILE, "from": rows.NOW - timedelta(days=6), "to": rows.NOW - timedelta(days=1)}
        conn.execute(_HOSTILE, bound)
    caught_up(engine, VirtualClock(rows.NOW), rows.estate())
    engine.dispose()


def late_events(one: Firm, contracts: int = 1_000) -> None:
    """Amendments, corrections, cancellations, invoices, disputes, exceptions: what comes to be known too late."""
    now = one.clock.now()
    with one.engine.begin() as conn:
        for statement in _LATE:
            bound = {"now": now, "contracts": contracts, "source": rows.SOURCE}
            conn.execute(statement, {name: bound[name] for name in statement.compile().params})


_HOSTILE = sa.text("""
    UPDATE core.contract SET external_id = :text, title = :text
    WHERE contract_id = (SELECT contract_id FROM core.contract
                         WHERE signed_at > :from AND signed_at < :to AND state IN ('waiting', 'blocked')
                         ORDER BY signed_at LIMIT 1)
""")
# The newest contracts, so that the week and the quarter of the snapshot are hit.
_NEWEST = "SELECT * FROM core.contract WHERE signed_at IS NOT NULL ORDER BY signed_at DESC LIMIT :contracts"
_EVENT = """
    INSERT INTO core.event (source, id, type, external_id, occurred_at, recorded_at, received_by, correlation_id, data,
                            attributes)
"""
_LATE = (
    sa.text(f"""{_EVENT}
        SELECT source, 'late-' || contract_id, 'com.tieline.contract.amended.v1', external_id, signed_at, :now, 'poll',
            'late', jsonb_build_object('contract_id', external_id, 'revision', 9,
                'amendment', jsonb_build_object('number', 9, 'executed_at', signed_at, 'summary', 'late'),
                'changes', jsonb_build_object('value', '1.00')), jsonb_build_object()
        FROM ({_NEWEST}) AS c WHERE contract_id % 2 = 0"""),
    sa.text(f"""{_EVENT}
        SELECT source, 'own-' || contract_id, 'com.tieline.contract.corrected.v1', external_id, :now, :now, 'tieline',
            'late', jsonb_build_object('contract_id', external_id, 'revision', 9), jsonb_build_object()
        FROM ({_NEWEST}) AS c WHERE contract_id % 5 = 0"""),
    sa.text(f"""
        UPDATE core.contract AS c
        SET title = 'renamed ' || c.contract_id, value = c.value * 2, value_reporting = c.value_reporting * 2,
            customer_name = 'another', service_line = 'tax', geography = 'APAC',
            legal_entity = CASE WHEN c.contract_id % 7 = 0 THEN 'GB01' ELSE c.legal_entity END,
            signed_at = CASE WHEN c.contract_id % 11 = 0 THEN c.signed_at - interval '8 d' ELSE c.signed_at END,
            state = CASE WHEN c.state IN ('waiting', 'blocked') THEN 'active'
                         WHEN c.contract_id % 13 = 0 THEN 'ended' ELSE c.state END,
            state_since = :now, first_active_at = coalesce(c.first_active_at, :now), updated_at = :now
        FROM ({_NEWEST}) AS n WHERE n.contract_id = c.contract_id"""),
    sa.text(f"""
        INSERT INTO core.progress (contract_id, step, occurred_at, recorded_at)
        SELECT contract_id, 'blocked', coalesce(first_active_at, :now) + interval '1 d', :now FROM ({_NEWEST}) AS c
        WHERE contract_id % 4 = 0"""),
    sa.text(f"""
        INSERT INTO core.run (run_id, contract_id, rev, lane, outcome, state, correlation_id, started_at, finished_at,
                              recorded_at)
        SELECT gen_random_uuid(), contract_id, 9, lane, 'converged', state, 'late', :now, :now, :now
        FROM ({_NEWEST}) AS c"""),
    sa.text(f"""
        INSERT INTO core.financial_fact (system, kind, ref, project_key, contract_id, invoice_ref, amount, currency,
                                         status, occurred_on, recorded_at)
        SELECT lane, kind, 'LATE-' || kind || contract_id, 'crm/' || external_id, contract_id,
            CASE WHEN kind <> 'invoice' THEN 'LATE-invoice' || contract_id END, value, currency, 'posted',
            CAST(signed_at AS date) + 1, :now
        FROM ({_NEWEST}) AS c CROSS JOIN (VALUES ('invoice'), ('payment'), ('dispute')) AS fact(kind)
        WHERE contract_id % 3 = 0"""),
    sa.text(f"""
        WITH opened AS (
            INSERT INTO core.case (contract_id, cause, error_class, function, severity, message, exposure, currency,
                                   exposure_reporting, bill_on, state, opened_at, seen_at, due_at)
            SELECT contract_id, 'late', 'missing_data', 'legal', 'high', 'late', value, currency, value_reporting,
                bill_on, 'open', signed_at, :now, :now FROM ({_NEWEST}) AS c WHERE contract_id % 6 = 0
            RETURNING case_id, opened_at
        )
        INSERT INTO core.case_history (case_id, what, function, occurred_at, recorded_at)
        SELECT case_id, 'opened', 'legal', opened_at, :now FROM opened"""),
    sa.text("""
        UPDATE core.case SET state = 'decided', resolved_at = :now, exposure = exposure * 3, function = 'tax'
        WHERE state = 'open' AND cause <> 'late'"""),
    sa.text("UPDATE core.quarantine SET released_at = :now, ended_xid = pg_current_xact_id()"),
    sa.text("""
        INSERT INTO core.contract (source, external_id, state, state_since, legal_entity, received_at, updated_at)
        SELECT source, external_id, 'draft', :now, 'GB01', :now, :now
        FROM core.quarantine WHERE external_id = 'Q-1'"""),
    sa.text("""
        INSERT INTO metrics.mark (contract_id) SELECT contract_id FROM core.contract WHERE external_id = 'Q-1'"""),
    sa.text("""
        INSERT INTO core.quarantine (source, event_id, type, external_id, reason, signature, body, received_by,
                                     correlation_id, occurred_at, recorded_at)
        SELECT :source, 'late', 'com.tieline.contract.signed.v9', 'Q-late', 'x', true, '{}', 'webhook', 'late',
            CAST(:now AS timestamptz) - interval '3 d', :now"""),
)  # fmt: skip


def reads(one: Firm) -> Reads:
    return Reads(one.engine, clock=one.clock, estate=one.estate)


def told(one: Firm) -> list[sa.RowMapping]:
    with one.engine.connect() as conn:
        return list(conn.execute(sa.text("SELECT * FROM core.outgoing WHERE type = :t ORDER BY seq"),
                                 {"t": keeping.EVENT}).mappings())  # fmt: skip
