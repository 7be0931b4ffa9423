"""The statement that makes outgoing events of new facts, apart because it is long. One branch for each kind of fact.

A fact is new when its transaction is in [:since, :cut), all of which is committed; audit rows have their own numbers,
which come in the order of commits. Each branch gives the parts that make an event's id, so the same fact always has
the same id.
"""

from typing import Final

import sqlalchemy as sa

CONTRACT: Final = """jsonb_build_object(
    'id', c.external_id, 'source', c.source, 'title', c.title,
    'customer', jsonb_build_object('code', c.customer_code, 'name', c.customer_name),
    'legal_entity', nullif(c.legal_entity, ''),
    'value', jsonb_build_object('amount', CAST(c.value AS text), 'currency', c.currency),
    'project', c.project_ref, 'test', c.test)"""
EXCEPTION: Final = """jsonb_build_object(
    'id', k.case_id, 'cause', k.cause, 'error_class', k.error_class, 'function', k.function, 'severity', k.severity,
    'state', k.state, 'message', k.message, 'occurrences', k.occurrences, 'bill_on', k.bill_on,
    'opened_at', k.opened_at, 'due_at', k.due_at,
    'exposure', jsonb_build_object('amount', CAST(k.exposure AS text), 'currency', k.currency),
    'exposure_reporting', CASE WHEN k.exposure_reporting IS NOT NULL THEN jsonb_build_object(
        'amount', CAST(k.exposure_reporting AS text), 'currency', CAST(:reporting AS text)) END)"""
PAGE_OF_CONTRACT: Final = "jsonb_build_object('page', CAST(:base AS text) || '/contract?id=' || c.contract_id)"
PAGE_OF_EXCEPTION: Final = "jsonb_build_object('page', CAST(:base AS text) || '/exceptions?case=' || k.case_id)"
SEVERITY: Final = "CASE WHEN k.severity IN ('high', 'medium', 'low') THEN k.severity ELSE 'low' END"
_REPLAY: Final = """jsonb_build_object('id', r.replay_id, 'title', r.title, 'items', r.items,
    'legal_entities', to_jsonb(r.entities))"""
_PAGE_OF_REPLAY: Final = "jsonb_build_object('page', CAST(:base AS text) || '/replay?replay=' || r.replay_id)"
# Of several legal entities only those without a limit are told.
_ENTITY_OF_REPLAY: Final = "CASE WHEN cardinality(r.entities) = 1 THEN nullif(r.entities[1], '') END"
_NEW: Final = "recorded_xid >= CAST(:since AS xid8) AND {0}.recorded_xid < CAST(:cut AS xid8)"


def _new(alias: str) -> str:
    return f"{alias}.{_NEW.format(alias)}"


# The columns of every branch: kind, key, subject, contract_id, legal_entity, function, severity, occurred_at, at, data.
_PROGRESS = f"""
    SELECT CASE p.step WHEN 'active' THEN 'project.activated.v1' ELSE 'contract.' || p.step || '.v1' END AS kind,
           concat_ws('|', p.contract_id, p.step, p.recorded_xid, extract(epoch FROM p.occurred_at)) AS key,
           'contract/' || p.contract_id AS subject, p.contract_id, nullif(c.legal_entity, '') AS legal_entity,
           CAST(NULL AS text) AS function, CASE p.step WHEN 'blocked' THEN 'medium' ELSE 'low' END AS severity,
           p.occurred_at, p.recorded_at AS at,
           jsonb_build_object('contract', {CONTRACT}, 'links', {PAGE_OF_CONTRACT}) || CASE p.step
               WHEN 'active' THEN jsonb_build_object('amendment', p.amendment)
               WHEN 'blocked' THEN jsonb_build_object('causes', coalesce((
                   SELECT jsonb_agg(k.cause ORDER BY k.case_id) FROM core.case AS k
                   WHERE k.contract_id = p.contract_id AND k.state = 'open'), '[]'))
               ELSE '{{}}' END AS data
    FROM core.progress AS p JOIN core.contract AS c USING (contract_id)
    WHERE {_new("p")} AND p.step IN ('active', 'blocked', 'unblocked', 'ended')
"""
# Refused by an approver, the exception is closed by that decision.
_CASES = f"""
    SELECT 'exception.' || CASE h.what WHEN 'refused' THEN 'decided' ELSE h.what END || '.v1',
           concat_ws('|', h.case_id, h.what, h.recorded_xid, extract(epoch FROM h.occurred_at)),
           'exception/' || h.case_id, k.contract_id, nullif(c.legal_entity, ''), h.function, {SEVERITY},
           h.occurred_at, h.recorded_at,
           jsonb_build_object('contract', {CONTRACT}, 'exception', {EXCEPTION}, 'links', {PAGE_OF_EXCEPTION},
                              'by', h.actor, 'note', h.note)
           || CASE h.what WHEN 'handed_over' THEN jsonb_build_object('from_function', h.from_function) ELSE '{{}}' END
    FROM core.case_history AS h JOIN core.case AS k USING (case_id) JOIN core.contract AS c USING (contract_id)
    WHERE {_new("h")} AND h.what IN ('opened', 'reopened', 'resolved', 'decided', 'refused', 'handed_over')
"""
_ASKED = f"""
    SELECT 'approval.requested.v1', concat_ws('|', h.case_id, h.recorded_xid, extract(epoch FROM h.occurred_at)),
           'exception/' || h.case_id, k.contract_id, nullif(c.legal_entity, ''), h.function, {SEVERITY},
           h.occurred_at, h.recorded_at,
           jsonb_build_object('of', 'provisioning', 'why', k.message, 'exception_id', k.case_id,
                              'contract', {CONTRACT}, 'replay', NULL, 'links', {PAGE_OF_EXCEPTION})
    FROM core.case_history AS h JOIN core.case AS k USING (case_id) JOIN core.contract AS c USING (contract_id)
    WHERE {_new("h")} AND h.what IN ('opened', 'reopened') AND k.cause = 'approval_needed'
"""
_FACTS = f"""
    SELECT f.kind || '.reported.v1', concat_ws('|', f.system, f.ref, f.status, f.amount, f.recorded_xid),
           f.kind || '/' || f.system || '/' || f.ref, f.contract_id, nullif(c.legal_entity, ''), CAST(NULL AS text),
           CASE f.kind WHEN 'dispute' THEN 'medium' ELSE 'low' END,
           CAST(f.occurred_on AS timestamp) AT TIME ZONE 'UTC', f.recorded_at,
           jsonb_build_object('system', f.system, 'ref', f.ref, 'invoice', f.invoice_ref,
               'project_key', f.project_key, 'status', f.status, 'occurred_on', f.occurred_on,
               'amount', jsonb_build_object('amount', CAST(f.amount AS text), 'currency', f.currency),
               'contract', CASE WHEN c.contract_id IS NOT NULL THEN {CONTRACT} END,
               'links', jsonb_build_object('page',
                   CAST(:base AS text) || coalesce('/contract?id=' || f.contract_id, '/')))
    FROM core.financial_fact AS f LEFT JOIN core.contract AS c USING (contract_id)
    WHERE {_new("f")} AND f.kind IN ('invoice', 'payment', 'dispute')
"""
_QUARANTINE = f"""
    SELECT 'event.quarantined.v1', concat_ws('|', q.source, q.event_id), 'quarantine/' || q.quarantine_id,
           c.contract_id, nullif(c.legal_entity, ''), 'integration',
           CASE WHEN q.signature THEN 'high' ELSE 'medium' END, q.occurred_at, q.recorded_at,
           jsonb_build_object('event', jsonb_build_object('source', q.source, 'id', q.event_id, 'type', q.type),
               'contract_id', q.external_id, 'signature', q.signature, 'reason', q.reason,
               'links', jsonb_build_object('page', CAST(:base AS text) || '/exceptions?view=quarantine'))
    FROM core.quarantine AS q LEFT JOIN core.contract AS c ON c.source = q.source AND c.external_id = q.external_id
    WHERE {_new("q")}
"""
_LANES = f"""
    SELECT CASE l.breaker WHEN 'closed' THEN 'lane.restored.v1' ELSE 'lane.stopped.v1' END,
           concat_ws('|', l.lane, l.breaker, l.recorded_xid, extract(epoch FROM l.occurred_at)),
           'lane/' || l.lane, CAST(NULL AS bigint), '*', 'integration',
           CASE l.breaker WHEN 'closed' THEN 'low' ELSE 'high' END, l.occurred_at, l.occurred_at,
           jsonb_build_object('lane', l.lane, 'links', jsonb_build_object('page', CAST(:base AS text) || '/'))
           || CASE l.breaker WHEN 'closed' THEN jsonb_build_object('stopped_at', (
                  SELECT max(s.occurred_at) FROM core.lane_history AS s
                  WHERE s.lane = l.lane AND s.breaker <> 'closed' AND s.occurred_at <= l.occurred_at))
              ELSE jsonb_build_object('reason', coalesce(l.reason, ''), 'needs_person', l.breaker = 'paused',
                  'waiting', (SELECT count(*) FROM core.contract AS c WHERE c.lane = l.lane AND c.state = 'waiting'))
              END
    FROM core.lane_history AS l WHERE {_new("l")}
"""
# `detail` is read only where it is Tieline's own: of these actions.
_REPLAYS = f"""
    SELECT CASE a.action WHEN 'replay.finish' THEN 'replay.finished.v1' WHEN 'replay.confirm' THEN
               'approval.requested.v1' ELSE 'approval.decided.v1' END,
           concat_ws('|', 'audit', a.id, encode(a.hash, 'hex')), 'replay/' || r.replay_id, CAST(NULL AS bigint),
           {_ENTITY_OF_REPLAY}, CAST(NULL AS text), CASE WHEN a.action = 'replay.finish' THEN 'low' ELSE 'medium' END,
           a.occurred_at, a.occurred_at,
           jsonb_build_object('replay', {_REPLAY}, 'links', {_PAGE_OF_REPLAY}) || CASE a.action
               WHEN 'replay.finish' THEN jsonb_build_object('result', d.detail -> 'result')
               ELSE jsonb_build_object('of', 'replay', 'exception_id', NULL, 'contract', NULL,
                   'why', CASE a.action WHEN 'replay.confirm' THEN d.detail ->> 'approval' ELSE a.reason END)
                 || CASE a.action WHEN 'replay.confirm' THEN '{{}}' ELSE jsonb_build_object('by', a.actor, 'decision',
                        CASE a.action WHEN 'replay.approve' THEN 'approved' ELSE 'refused' END) END
               END
    FROM core.audit AS a CROSS JOIN LATERAL (SELECT CAST(a.detail AS jsonb) AS detail) AS d
    JOIN core.replay AS r ON r.replay_id = CAST(substring(a.subject FROM '^replay ([0-9]+)$') AS bigint)
    WHERE a.id > :audit AND a.id <= :audit_head
      AND (a.action IN ('replay.finish', 'replay.approve', 'replay.refuse')
           OR a.action = 'replay.confirm' AND d.detail ->> 'approval' <> '')
"""
_DECIDED = f"""
    SELECT 'approval.decided.v1', concat_ws('|', 'audit', a.id, encode(a.hash, 'hex')), 'exception/' || k.case_id,
           k.contract_id, nullif(c.legal_entity, ''), k.function, {SEVERITY}, a.occurred_at, a.occurred_at,
           jsonb_build_object('of', 'provisioning', 'why', a.reason, 'exception_id', k.case_id, 'contract', {CONTRACT},
               'replay', NULL, 'links', {PAGE_OF_EXCEPTION}, 'by', a.actor,
               'decision', CASE a.action WHEN 'approval.approve' THEN 'approved' ELSE 'refused' END)
    FROM core.audit AS a
    JOIN core.case AS k ON k.case_id = CAST(substring(a.subject FROM '^exception ([0-9]+)$') AS bigint)
    JOIN core.contract AS c ON c.contract_id = k.contract_id
    WHERE a.id > :audit AND a.id <= :audit_head AND a.action IN ('approval.approve', 'approval.refuse')
"""
_BRANCHES = (_PROGRESS, _CASES, _ASKED, _FACTS, _QUARANTINE, _LANES, _REPLAYS, _DECIDED)

# `facts` must give the columns above. The same id again is the same fact again: it was told.
_INSERT: Final = """
    WITH facts AS ({facts})
    INSERT INTO core.outgoing (id, type, subject, contract_id, legal_entity, function, severity, occurred_at,
                               recorded_at, data)
    SELECT substr(encode(sha256(convert_to(kind || ' ' || key, 'UTF8')), 'hex'), 1, 32), '{prefix}' || kind, subject,
           contract_id, legal_entity, function, severity, occurred_at, :now, data
    FROM facts ORDER BY at, kind, key
    ON CONFLICT (id) DO NOTHING
"""


def insertion(facts: str, prefix: str) -> sa.TextClause:
    """Makes outgoing events of `facts`, a SELECT of the columns of every branch."""
    return sa.text(_INSERT.format(facts=facts, prefix=prefix))


def announcement(prefix: str) -> sa.TextClause:
    return insertion(" UNION ALL ".join(_BRANCHES), prefix)
