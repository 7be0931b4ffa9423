"""Statements on replays that commands and workers share, apart because they are long.

Locks are taken in one order: the replay's row, contracts in (source, external_id) order as intake and the group commit
take them, then items. A contract that a worker holds is never touched here: its run ends its item.

Single items are looked up with `finished_at IS NULL`, which says what `state = 'pending'` says: the partial indexes of
pending items are empty whenever statistics are made, and a planner that takes them for tiny walks through all of them
for each item.
"""

import sqlalchemy as sa

from sync_core.locks import Lock
from sync_core.telemetry.measured import marking

# One statement, so that the list and every reason are of one moment. `eligibility` is decided for all at once.
_FREEZE = """
    WITH chosen AS MATERIALIZED (
        SELECT c.contract_id, c.state, c.lane, c.wanted_rev, c.done_rev, c.priority, c.value, c.currency,
               c.value_reporting, c.bill_on
        FROM core.contract AS c
        WHERE (CAST(:entities AS text[]) IS NULL OR c.legal_entity = ANY(CAST(:entities AS text[]))) AND {conditions}
        ORDER BY c.priority DESC, c.contract_id LIMIT :most
    ), judged AS (
        SELECT chosen.*, (SELECT i.replay_id FROM core.replay_item AS i WHERE i.contract_id = chosen.contract_id
                          AND i.confirmed AND i.finished_at IS NULL) AS other,
               EXISTS (SELECT FROM core.case AS k WHERE k.contract_id = chosen.contract_id AND k.state = 'open')
                   AS troubled
        FROM chosen
    ), placed AS (
        SELECT judged.*, row_number() OVER (ORDER BY priority DESC, contract_id) AS position,
               CASE WHEN state = 'draft' OR lane = '' THEN 'blocked' WHEN other IS NOT NULL THEN 'superseded'
                    WHEN state IN ('active', 'suspended', 'ended') AND wanted_rev = done_rev AND NOT troubled
                        THEN 'already_confirmed'
                    ELSE 'eligible' END AS eligibility,
               CASE WHEN state = 'draft' THEN 'not signed yet'
                    WHEN lane = '' THEN 'no ERP is known for its legal entity; correct the contract or the estate'
                    WHEN other IS NOT NULL THEN 'replay ' || other || ' is about to do it'
                    WHEN state IN ('active', 'suspended', 'ended') AND wanted_rev = done_rev AND NOT troubled
                        THEN 'its ERP was as wanted when last read; a fresh look says whether it still is'
                    ELSE '' END AS why
        FROM judged
    )
    INSERT INTO core.replay_item (replay_id, contract_id, position, eligibility, eligibility_why, preview,
        preview_due_at, lane, money, currency, money_reporting, bill_on, state, skip, words, finished_at)
    SELECT :replay_id, contract_id, position, eligibility, why,
           CASE WHEN fit THEN 'pending' ELSE 'none' END, :now, lane, value, currency, value_reporting, bill_on,
           CASE WHEN fit THEN 'pending' ELSE 'skipped' END, CASE WHEN fit THEN '' ELSE 'not_eligible' END,
           CASE WHEN fit THEN '' ELSE eligibility || ': ' || why END,
           CASE WHEN NOT fit THEN CAST(:now AS timestamptz) END
    FROM placed, LATERAL (SELECT eligibility IN ('eligible', 'already_confirmed') AS fit) AS f
"""


def freeze(conditions: list[str]) -> sa.TextClause:
    """Makes the items of :replay_id from the contracts that meet `conditions` (of sync_core/replay/selection.py)."""
    return sa.text(_FREEZE.format(conditions=" AND ".join(conditions) or "true"))


MAKE = sa.text("""
    INSERT INTO core.replay (created_at, created_by, title, origin, selection, lane, entities, items, state,
                             offered_from, per_minute)
    VALUES (:now, :actor, :title, :origin, CAST(:selection AS jsonb), :lane, '{}', 0, 'previewing', :offered_from,
            :per_minute)
    RETURNING replay_id
""")
COUNT = sa.text("""
    WITH made AS (
        SELECT count(*) AS items, count(*) FILTER (WHERE i.state = 'pending') AS to_preview,
               array_agg(DISTINCT c.legal_entity) AS entities
        FROM core.replay_item AS i JOIN core.contract AS c USING (contract_id) WHERE i.replay_id = :replay_id
    )
    UPDATE core.replay AS r SET items = made.items, entities = coalesce(made.entities, '{}'),
           state = CASE WHEN made.to_preview = 0 THEN 'previewed' ELSE r.state END
    FROM made WHERE r.replay_id = :replay_id RETURNING r.items, made.to_preview, r.state, r.entities
""")
FROZEN = sa.text("SELECT contract_id FROM core.replay_item WHERE replay_id = :replay_id ORDER BY position")
LOCK = sa.text("""
    SELECT replay_id, created_by, confirmed_by, title, origin, state, version, entities, per_minute, move_from, move_to
    FROM core.replay WHERE replay_id = :replay_id FOR UPDATE
""")
ENTITIES = sa.text("""
    SELECT DISTINCT c.legal_entity FROM core.replay_item AS i JOIN core.contract AS c USING (contract_id)
    WHERE i.replay_id = :replay_id AND i.state = 'pending'
""")
# Two confirmations of one contract, one after the other: the second sees what the first one took.
ONE_AT_A_TIME = sa.text(f"SELECT pg_advisory_xact_lock({Lock.REPLAY}, 1)")
# One plain pass for each reason, in their order: a self-join that judges all at once is planned for a handful of items,
# because the index of pending ones was small when statistics were made, and took minutes for ten thousand.
_LEAVE_OUT = """
    UPDATE core.replay_item AS i SET state = 'skipped', skip = '{skip}', words = {words}, finished_at = :now
    WHERE i.replay_id = :replay_id AND i.state = 'pending' AND {condition}
"""
_OTHER = """SELECT other.replay_id FROM core.replay_item AS other
    WHERE other.contract_id = i.contract_id AND other.confirmed AND other.finished_at IS NULL"""
LEAVE_OUT = tuple(
    sa.text(_LEAVE_OUT.format(skip=skip, condition=condition, words=words))
    for skip, condition, words in (
        ("not_chosen", ":some AND i.contract_id <> ALL(CAST(:chosen AS bigint[]))", "'not chosen'"),
        ("not_previewed", "i.preview <> 'done'", "'its preview failed: ' || i.preview_why"),
        (
            "stopped",
            "i.findings <> '[]'",
            "'stopped before any write: ' || coalesce(i.findings -> 0 ->> 'message', '')",
        ),
        ("superseded", f"({_OTHER}) IS NOT NULL", f"'replay ' || ({_OTHER}) || ' is about to do it'"),
    )
)
CHOOSE = sa.text("""
    UPDATE core.replay_item AS i SET confirmed = true WHERE i.replay_id = :replay_id AND i.state = 'pending'
    RETURNING i.contract_id, i.position, i.digest, i.money_reporting,
              i.creates + i.updates + i.activates + i.closes AS writes
""")
UNKNOWN_IDS = sa.text("""
    SELECT wanted.id FROM unnest(CAST(:ids AS bigint[])) AS wanted(id)
    WHERE NOT EXISTS (SELECT FROM core.replay_item AS i WHERE i.replay_id = :replay_id AND i.contract_id = wanted.id)
    LIMIT 5
""")
CONFIRM = sa.text("""
    UPDATE core.replay SET state = :state, reason = :reason, ticket = :ticket, per_minute = :per_minute,
           confirmed_by = :actor, confirmed_at = :now, needs_approval = :needs_approval, approval_why = :why,
           tokens = 1, tokens_at = :now, version = version + 1
    WHERE replay_id = :replay_id RETURNING version
""")
APPROVE = sa.text("""
    UPDATE core.replay SET state = 'running', approved_by = :actor, approved_at = :now, approval_reason = :reason,
           tokens = 1, tokens_at = :now, version = version + 1
    WHERE replay_id = :replay_id RETURNING version
""")
MOVE = sa.text("""
    UPDATE core.replay SET state = :state, per_minute = :per_minute, tokens = 0, tokens_at = :now,
           version = version + 1
    WHERE replay_id = :replay_id RETURNING version
""")
END = sa.text("""
    UPDATE core.replay SET state = :state, ended_by = :actor, version = version + 1
    WHERE replay_id = :replay_id RETURNING version
""")
LEFT = sa.text("""
    SELECT EXISTS (SELECT FROM core.replay_item WHERE replay_id = :replay_id AND state = 'pending')
""")
CANCEL_UNDISPATCHED = sa.text("""
    UPDATE core.replay_item SET state = 'cancelled', words = :words, finished_at = :now
    WHERE replay_id = :replay_id AND state = 'pending' AND dispatched_at IS NULL
""")

# What a contract goes on with once its item ended without a run of its own. Untouched, and without news since its
# dispatch, it gets back what it was before; else it goes on from where it is, as after any run that stopped.
# One that has left its ERP on the way to another one goes on.
_BACK = """NOT (i.in_hand OR i.sent) AND free.wanted_rev = CAST(i.was ->> 'rev' AS bigint) AND NOT EXISTS (
            SELECT FROM core.placement AS p
            WHERE p.contract_id = i.contract_id AND p.replay_id = i.replay_id AND p.leaving IS NULL) AS back"""
_GIVE_BACK = f"""
    {marking("ended")}, given AS (
        UPDATE core.contract AS c SET replay_id = NULL,
            due_at = CASE WHEN back THEN CAST(was ->> 'due_at' AS timestamptz) ELSE coalesce(c.due_at, :now) END,
            state = CASE WHEN back THEN was ->> 'state' ELSE c.state END,
            state_since = CASE WHEN back THEN CAST(was ->> 'since' AS timestamptz) ELSE c.state_since END
        FROM ended WHERE c.contract_id = ended.contract_id
    )
"""
CANCEL_DISPATCHED = sa.text(f"""
    WITH free AS (
        SELECT c.contract_id, c.replay_id, c.wanted_rev
        FROM core.contract AS c JOIN core.replay AS r USING (replay_id)
        WHERE r.state = 'cancelled' AND r.replay_id = coalesce(:replay_id, r.replay_id) AND r.finished_at IS NULL
          AND c.lease_owner IS NULL
        ORDER BY c.source, c.external_id FOR UPDATE OF c
    ), ended AS (
        UPDATE core.replay_item AS i SET state = 'cancelled', finished_at = :now,
               words = 'cancelled before it was done' || CASE WHEN i.in_hand OR i.sent
                   THEN '; an earlier try may have written, the contract goes on as usual' ELSE '' END
        FROM free WHERE i.replay_id = free.replay_id AND i.contract_id = free.contract_id AND i.finished_at IS NULL
        RETURNING i.contract_id, i.was, {_BACK}
    ), {_GIVE_BACK}
    SELECT count(*) FROM ended
""")
# Only the clock of the application counts; a contract in a worker's hands is left to it.
EXPIRE = sa.text(f"""
    WITH free AS (
        SELECT c.contract_id, c.replay_id, c.wanted_rev, c.last_error
        FROM core.contract AS c JOIN core.replay_item AS i USING (replay_id, contract_id)
        WHERE c.replay_id IS NOT NULL AND i.finished_at IS NULL
          AND NOT EXISTS (  -- a move takes as long as its ERPs take: one may accept batches only at night
              SELECT FROM core.replay AS r WHERE r.replay_id = c.replay_id AND r.move_to IS NOT NULL)
          AND c.lease_owner IS NULL AND (i.tries >= :most_tries
              -- one of an ERP with batches waits for its window, then for the answer, and is not late at that hour
              OR i.dispatched_at < :before AND c.lane <> ALL(CAST(:nightly AS text[])))
        ORDER BY c.source, c.external_id FOR UPDATE OF c SKIP LOCKED
    ), ended AS (
        UPDATE core.replay_item AS i
        SET state = CASE WHEN i.in_hand OR i.sent THEN 'unverifiable' ELSE 'failed' END, finished_at = :now,
            words = CASE WHEN i.in_hand OR i.sent THEN 'something was sent, and the ERP could not be read back in time'
                         ELSE 'nothing could be sent in time' END || coalesce(': ' || free.last_error, '')
        FROM free WHERE i.replay_id = free.replay_id AND i.contract_id = free.contract_id AND i.finished_at IS NULL
        RETURNING i.contract_id, i.was, {_BACK}
    ), {_GIVE_BACK}
    SELECT count(*) FROM ended
""")
AGAIN = sa.text("""
    SELECT contract_id FROM core.replay_item
    WHERE replay_id = :replay_id AND (state IN ('failed', 'mismatch', 'unverifiable', 'cancelled')
          OR state = 'skipped' AND skip IN ('changed', 'not_previewed'))
    ORDER BY position
""")
RESULTS = sa.text("""
    SELECT contract_id, state, words, digest, run_id FROM core.replay_item
    WHERE replay_id = :replay_id ORDER BY position
""")
