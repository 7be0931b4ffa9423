-- How Tieline runs, in numbers that add up: calls by fixed buckets of their duration, attempts by how they ended, and
-- samples of what stands. Minutes and hours are kept by the month and dropped by the month; totals are for good.
CREATE TABLE telemetry.call_minute (
    at              timestamptz NOT NULL,     -- when the minute began
    kind            text NOT NULL CHECK (kind IN ('erp', 'clm', 'web', 'db')),
    system          text NOT NULL,
    operation       text NOT NULL,
    writes          boolean NOT NULL,
    outcome         text NOT NULL,
    le              double precision NOT NULL, -- the bucket's upper bound in seconds, included; Infinity is the last
    n               bigint NOT NULL,
    total_s         double precision NOT NULL,
    PRIMARY KEY (at, kind, system, operation, writes, outcome, le)
) PARTITION BY RANGE (at);
CREATE TABLE telemetry.call_hour (LIKE telemetry.call_minute INCLUDING ALL) PARTITION BY RANGE (at);
-- Since ever, with the last trace that fell into the bucket.
CREATE TABLE telemetry.call_total (
    kind            text NOT NULL,
    system          text NOT NULL,
    operation       text NOT NULL,
    writes          boolean NOT NULL,
    outcome         text NOT NULL,
    le              double precision NOT NULL,
    n               bigint NOT NULL,
    total_s         double precision NOT NULL,
    trace_id        text,
    trace_s         double precision,
    trace_at        timestamptz,
    PRIMARY KEY (kind, system, operation, writes, outcome, le)
);

-- Things that happened, counted: attempts by how they ended, messages, read-backs.
CREATE TABLE telemetry.count_minute (
    at              timestamptz NOT NULL,
    name            text NOT NULL,
    system          text NOT NULL,
    label           text NOT NULL,
    n               bigint NOT NULL,
    PRIMARY KEY (at, name, system, label)
) PARTITION BY RANGE (at);
CREATE TABLE telemetry.count_hour (LIKE telemetry.count_minute INCLUDING ALL) PARTITION BY RANGE (at);
CREATE TABLE telemetry.count_total (
    name            text NOT NULL,
    system          text NOT NULL,
    label           text NOT NULL,
    n               bigint NOT NULL,
    PRIMARY KEY (name, system, label)
);

-- What stood at a moment: one row per name, system, label and minute.
CREATE TABLE telemetry.sample (
    at              timestamptz NOT NULL,
    name            text NOT NULL,
    system          text NOT NULL,
    label           text NOT NULL,
    value           double precision NOT NULL,
    PRIMARY KEY (name, system, label, at)
) PARTITION BY RANGE (at);
-- The newest moment that each collector sampled.
CREATE TABLE telemetry.sampled (collector text PRIMARY KEY, at timestamptz NOT NULL);

-- How each objective stands; `broken_at` is when the present trouble began.
CREATE TABLE telemetry.slo (
    name            text PRIMARY KEY,
    title           text NOT NULL,
    target          double precision NOT NULL,
    evaluated_at    timestamptz NOT NULL,
    state           text NOT NULL,
    says            text NOT NULL,
    severity        text CHECK (severity IN ('low', 'medium', 'high')),
    figures         jsonb NOT NULL,
    broken_at       timestamptz,
    recovering_at   timestamptz     -- since when it has been kept again; after an hour of that it is no longer broken
);

-- Months come and go by these two alone: the application's role owns no table.
CREATE FUNCTION telemetry.open_months(first timestamptz, last timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    month timestamp := date_trunc('month', first AT TIME ZONE 'UTC');
    made integer := 0;
    part text;
    name text;
BEGIN
    IF last - first > interval '3 years' THEN
        RAISE EXCEPTION 'telemetry of more than three years at once';
    END IF;
    WHILE month <= last AT TIME ZONE 'UTC' LOOP
        FOREACH name IN ARRAY ARRAY['call_minute', 'call_hour', 'count_minute', 'count_hour', 'sample'] LOOP
            part := name || to_char(month, '_YYYYMM');
            IF to_regclass('telemetry.' || part) IS NULL THEN
                PERFORM pg_advisory_xact_lock(7722, 2);
                IF to_regclass('telemetry.' || part) IS NULL THEN
                    EXECUTE 'CREATE TABLE telemetry.' || quote_ident(part) || ' PARTITION OF telemetry.'
                        || quote_ident(name) || ' FOR VALUES FROM (' || quote_literal(month AT TIME ZONE 'UTC')
                        || ') TO (' || quote_literal((month + interval '1 month') AT TIME ZONE 'UTC') || ')';
                    made := made + 1;
                END IF;
            END IF;
        END LOOP;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END $$;
-- Drops the months of one table that ended before a moment; hours and counts by hour may be kept longer than minutes.
CREATE FUNCTION telemetry.drop_months(of_table text, before timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    part text;
    dropped integer := 0;
BEGIN
    IF of_table NOT IN ('call_minute', 'call_hour', 'count_minute', 'count_hour', 'sample') THEN
        RAISE EXCEPTION 'telemetry has no such table by the month';
    END IF;
    FOR part IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass('telemetry.' || of_table)
          AND to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' <= before AT TIME ZONE 'UTC'
    LOOP
        EXECUTE 'DROP TABLE telemetry.' || quote_ident(part);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

-- The last moment at which a calendar has seen no more than so many working seconds, the inverse of metrics.worked: what
-- may take them is late from then on. At the end of a working day that is the begin of the next one.
CREATE INDEX work_day_worked ON metrics.work_day (calendar, before_s DESC);
CREATE FUNCTION metrics.worked_until(calendar text, seconds bigint) RETURNS timestamptz
LANGUAGE plpgsql STABLE PARALLEL SAFE SET plan_cache_mode = 'force_generic_plan' AS $$
BEGIN
    RETURN (SELECT d.opens_at + make_interval(secs => $2 - d.before_s)
            FROM metrics.work_day AS d
            WHERE d.calendar = metrics.calendar_days($1)
              AND d.before_s <= $2
            ORDER BY d.before_s DESC, d.opens_at DESC LIMIT 1);
END
$$;

-- What people say about scheduled jobs. A row is made when a worker declares the job.
CREATE TABLE core.schedule (
    job             text PRIMARY KEY,
    every_s         integer NOT NULL,
    declared_at     timestamptz NOT NULL,
    paused_at       timestamptz,
    paused_by       text,
    pause_reason    text,
    wanted_at       timestamptz,
    wanted_by       text,
    version         integer NOT NULL DEFAULT 1
);
CREATE INDEX schedule_wanted ON core.schedule (job) WHERE wanted_at IS NOT NULL;
CREATE INDEX job_run_newest ON core.job_run (job, started_at DESC);

REVOKE ALL ON FUNCTION telemetry.open_months(timestamptz, timestamptz), telemetry.drop_months(text, timestamptz)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION telemetry.open_months(timestamptz, timestamptz), telemetry.drop_months(text, timestamptz)
    TO %APP_ROLE%;
GRANT SELECT, INSERT, UPDATE ON telemetry.call_minute, telemetry.call_hour, telemetry.call_total,
    telemetry.count_minute, telemetry.count_hour, telemetry.count_total, telemetry.slo TO %APP_ROLE%;
GRANT SELECT, INSERT ON telemetry.sample TO %APP_ROLE%;
GRANT SELECT, INSERT, UPDATE ON telemetry.sampled TO %APP_ROLE%;
GRANT SELECT, INSERT, UPDATE, DELETE ON core.schedule TO %APP_ROLE%;
