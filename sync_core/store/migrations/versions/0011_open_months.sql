-- Who waited for the lock may still remember that the table was missing; only the creation itself looks again.
CREATE OR REPLACE FUNCTION telemetry.open_months(first timestamptz, last timestamptz) RETURNS integer
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
                    EXECUTE 'CREATE TABLE IF NOT EXISTS telemetry.' || quote_ident(part) || ' PARTITION OF telemetry.'
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
