-- Facts of the measures are versions: a row is what was known from `known_from` until `known_to`; null is until now.
-- One refresh at a time writes them, so a moment at which a refresh ended can be asked for again and gives the same.
CREATE TABLE metrics.refresh (
    at              timestamptz PRIMARY KEY,  -- known_from of everything it wrote; rises with every refresh
    cut             xid8 NOT NULL,            -- facts of transactions below it are in
    contracts       integer NOT NULL,         -- how many it looked at again
    finished_at     timestamptz               -- null: it was cut short, the next one goes on
);
CREATE INDEX refresh_finished ON metrics.refresh (at DESC) WHERE finished_at IS NOT NULL;
-- Contracts that something happened to since they were last measured.
CREATE TABLE metrics.dirty (contract_id bigint PRIMARY KEY);

-- The working time of each legal entity's calendar ('' is the group's), so that it is worked out by set: `before_s` is
-- all working time before the day.
CREATE TABLE metrics.work_day (
    calendar        text NOT NULL,
    opens_at        timestamptz NOT NULL,
    length_s        integer NOT NULL,
    before_s        bigint NOT NULL,
    next_at         timestamptz NOT NULL,  -- when the next one opens
    PRIMARY KEY (calendar, opens_at) INCLUDE (length_s, before_s, next_at)
);
CREATE TABLE metrics.calendar (
    calendar        text PRIMARY KEY,
    digest          text NOT NULL,   -- of the hours, holidays and zone it was made from
    zone            text NOT NULL,
    day_s           integer NOT NULL -- a working day: its mean length
);
-- Working seconds on a calendar until each of some moments; only differences mean something. Null where the moment is.
-- Calendars that nobody knows are the group's. Before the first day that is known it is 0: a date that a CLM got wrong
-- must not stop the measures. What lies between two openings is looked up once, and the look-up is planned once, also
-- where the caller wants its own statements planned anew.
CREATE FUNCTION metrics.worked_each(calendar text, moments timestamptz[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET plan_cache_mode = 'force_generic_plan' AS $$
DECLARE
    found bigint[] := '{}';
    known text := calendar;
    opens timestamptz := 'infinity';
    next_opens timestamptz := '-infinity';
    before bigint := 0;
    length integer := 0;
    moment timestamptz;
BEGIN
    FOREACH moment IN ARRAY moments LOOP
        IF moment < opens OR moment >= next_opens THEN
            SELECT d.opens_at, d.next_at, d.before_s, d.length_s INTO opens, next_opens, before, length
            FROM metrics.work_day AS d WHERE d.calendar = known AND d.opens_at <= moment
            ORDER BY d.opens_at DESC LIMIT 1;
            IF opens IS NULL THEN
                SELECT coalesce((SELECT k.calendar FROM metrics.calendar AS k WHERE k.calendar = known), '') INTO known;
                SELECT d.opens_at, d.next_at, d.before_s, d.length_s INTO opens, next_opens, before, length
                FROM metrics.work_day AS d WHERE d.calendar = known AND d.opens_at <= moment
                ORDER BY d.opens_at DESC LIMIT 1;
            END IF;
            IF opens IS NULL THEN
                opens := moment; next_opens := moment; before := 0; length := 0;
            END IF;
        END IF;
        found := array_append(found, CASE WHEN moment IS NOT NULL
            THEN before + least(CAST(floor(extract(epoch FROM moment - opens)) AS bigint), length) END);
    END LOOP;
    RETURN found;
END
$$;
-- The same of one moment.
CREATE FUNCTION metrics.worked(calendar text, at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET plan_cache_mode = 'force_generic_plan' AS $$
DECLARE
    found bigint;
BEGIN
    SELECT d.before_s + least(CAST(floor(extract(epoch FROM at - d.opens_at)) AS bigint), d.length_s) INTO found
    FROM metrics.work_day AS d WHERE d.calendar = worked.calendar AND d.opens_at <= at
    ORDER BY d.opens_at DESC LIMIT 1;
    IF found IS NULL AND NOT EXISTS (SELECT FROM metrics.calendar AS k WHERE k.calendar = worked.calendar) THEN
        SELECT d.before_s + least(CAST(floor(extract(epoch FROM at - d.opens_at)) AS bigint), d.length_s) INTO found
        FROM metrics.work_day AS d WHERE d.calendar = '' AND d.opens_at <= at
        ORDER BY d.opens_at DESC LIMIT 1;
    END IF;
    RETURN coalesce(found, 0);
END
$$;

-- Rollups: what the latest facts add up to. `level` 0 is by legal entity, 1 by every dimension; `period` is the Monday of
-- an ISO week in the group's zone, the first of a month, or 1970-01-01 for what has no time. `bucket` is -1 without one.
CREATE TABLE metrics.cell (
    measure         text NOT NULL,
    level           smallint NOT NULL,
    period          date NOT NULL,
    legal_entity    text NOT NULL,
    service_line    text NOT NULL,
    geography       text NOT NULL,
    billing         text NOT NULL,
    label           text NOT NULL,   -- what else the measure is split by: a currency, a function, a cause
    bucket          smallint NOT NULL,
    n               bigint NOT NULL,
    amount          numeric NOT NULL, -- money in major units, or seconds
    PRIMARY KEY (measure, level, period, legal_entity, service_line, geography, billing, label, bucket) INCLUDE (n, amount)
);

-- What a refresh looks for.
CREATE INDEX event_by_xid ON core.event (recorded_xid);
CREATE INDEX run_by_xid ON core.run (recorded_xid);
CREATE INDEX case_history_all_by_xid ON core.case_history (recorded_xid);

GRANT SELECT, INSERT, UPDATE ON metrics.refresh TO %APP_ROLE%;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.dirty, metrics.work_day, metrics.calendar, metrics.cell TO %APP_ROLE%;
