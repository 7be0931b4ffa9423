-- Facts of the measures are versions: a row is what was known from `known_from` until `known_to`; null is until now.
-- One refresh at a time writes them, so a moment at which a refresh ended can be asked for again and gives the same.
CREATE TABLE metrics.refresh (
    at              timestamptz PRIMARY KEY,  -- known_from of everything it wrote; after finished_at of the one before
    cut             xid8 NOT NULL,            -- facts of transactions below it are in
    head            xid8 NOT NULL,            -- transactions from it on had not begun
    covers          timestamptz NOT NULL,     -- everything that was committed before is in
    contracts       integer NOT NULL,         -- how many it looked at again
    finished_at     timestamptz               -- from then on it can be asked for; null: not yet, the next one goes on
);
CREATE INDEX refresh_finished ON metrics.refresh (finished_at DESC) WHERE finished_at IS NOT NULL;
CREATE INDEX refresh_by_head ON metrics.refresh (head);
-- What facts and rollups were made by: when it changes, all of them are made anew.
CREATE TABLE metrics.shape (
    one             boolean PRIMARY KEY DEFAULT true CHECK (one),
    digest          text NOT NULL
);
-- Notes of the core that something happened to a contract; many may be of one, so that nobody waits to write one.
CREATE TABLE metrics.mark (
    contract_id     bigint NOT NULL,
    recorded_xid    xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX mark_by_xid ON metrics.mark (recorded_xid);
-- Contracts that the running refresh has to look at; nobody but refreshes writes here.
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
    digest          text NOT NULL,   -- of its days and zone
    zone            text NOT NULL,
    day_s           integer NOT NULL,-- a working day: its mean length
    known_from      timestamptz NOT NULL
);
-- Former ones, whose days stay under another name: a past moment is asked for with the calendar of then.
CREATE TABLE metrics.former_calendar (
    calendar        text NOT NULL,
    kept_as         text NOT NULL,
    known_from      timestamptz NOT NULL,
    known_to        timestamptz NOT NULL,
    PRIMARY KEY (calendar, known_to)
);
-- The name of a calendar's days as they were known at the transaction's setting tieline.known_at, else as they are.
CREATE FUNCTION metrics.calendar_days(code text) RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET plan_cache_mode = 'force_generic_plan' AS $$
DECLARE
    known_at timestamptz := CAST(nullif(current_setting('tieline.known_at', true), '') AS timestamptz);
    found text;
BEGIN
    IF known_at IS NULL THEN
        RETURN coalesce((SELECT k.calendar FROM metrics.calendar AS k WHERE k.calendar = code), '');
    END IF;
    SELECT f.kept_as INTO found FROM metrics.former_calendar AS f
    WHERE f.calendar = code AND f.known_from <= known_at AND f.known_to > known_at;
    IF found IS NULL THEN
        SELECT k.calendar INTO found FROM metrics.calendar AS k WHERE k.calendar = code AND k.known_from <= known_at;
    END IF;
    IF found IS NULL AND code <> '' THEN
        RETURN metrics.calendar_days('');
    END IF;
    RETURN coalesce(found, '');
END
$$;
-- Working seconds on a calendar until each of some moments; only differences mean something. Null where the moment is.
-- Calendars that nobody knows are the group's. Before the first day that is known it is 0: a date that a CLM got wrong
-- must not stop the measures. What lies between two openings is looked up once, and the look-up is planned once, also
-- where the caller wants its own statements planned anew.
CREATE FUNCTION metrics.worked_each(calendar text, moments timestamptz[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET plan_cache_mode = 'force_generic_plan' AS $$
DECLARE
    found bigint[] := '{}';
    known text := CASE WHEN current_setting('tieline.known_at', true) <> '' THEN metrics.calendar_days(calendar)
                       ELSE calendar END;
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
                known := metrics.calendar_days(calendar);
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
    known text := CASE WHEN current_setting('tieline.known_at', true) <> '' THEN metrics.calendar_days(calendar)
                       ELSE calendar END;
BEGIN
    SELECT d.before_s + least(CAST(floor(extract(epoch FROM at - d.opens_at)) AS bigint), d.length_s) INTO found
    FROM metrics.work_day AS d WHERE d.calendar = known AND d.opens_at <= at
    ORDER BY d.opens_at DESC LIMIT 1;
    IF found IS NULL AND metrics.calendar_days(calendar) <> known THEN
        SELECT d.before_s + least(CAST(floor(extract(epoch FROM at - d.opens_at)) AS bigint), d.length_s) INTO found
        FROM metrics.work_day AS d WHERE d.calendar = metrics.calendar_days(worked.calendar) AND d.opens_at <= at
        ORDER BY d.opens_at DESC LIMIT 1;
    END IF;
    RETURN coalesce(found, 0);
END
$$;

-- Rollups: what the latest facts add up to. `level` 0 is by legal entity, 1 by every dimension, 2 of all together;
-- `period` is the Monday of an ISO week in the group's zone, the first of a month, or 1970-01-01 for what has no time.
-- `bucket` is -1 without one.
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

GRANT SELECT, INSERT, UPDATE ON metrics.refresh, metrics.shape TO %APP_ROLE%;
GRANT SELECT, INSERT ON metrics.former_calendar TO %APP_ROLE%;
GRANT SELECT, INSERT, DELETE ON metrics.mark TO %APP_ROLE%;
GRANT SELECT, INSERT, UPDATE, DELETE ON metrics.dirty, metrics.work_day, metrics.calendar, metrics.cell TO %APP_ROLE%;
