-- Master data as its owner last said it, and each version of it for good: what was known when.
CREATE TABLE core.master_customer (
    system          text NOT NULL,
    mdm_id          text NOT NULL,
    code            text NOT NULL,            -- the customer's key in the ERPs
    name            text NOT NULL,
    folded          text NOT NULL,            -- the name as near-duplicates are compared, see sync_core/master/names.py
    tax_id          text,
    tax_key         text,                     -- the number as it is compared
    country         text,
    status          text NOT NULL,            -- 'active', or in the owner's own word why not
    merged_into     text,                     -- mdm_id of the record that stands for it now
    addresses       jsonb NOT NULL DEFAULT '[]',
    changed_at      timestamptz NOT NULL,     -- there
    recorded_at     timestamptz NOT NULL,     -- here
    version         integer NOT NULL DEFAULT 1,
    PRIMARY KEY (system, mdm_id)
);
CREATE INDEX master_customer_code ON core.master_customer (code);
CREATE INDEX master_customer_tax ON core.master_customer (tax_key) WHERE tax_key IS NOT NULL;
CREATE INDEX master_customer_id ON core.master_customer (mdm_id);
CREATE INDEX master_customer_name ON core.master_customer USING gin (folded gin_trgm_ops);

CREATE TABLE core.master_entity (
    system          text NOT NULL,
    mdm_id          text NOT NULL,
    code            text NOT NULL,            -- as contracts and the estate name it
    name            text NOT NULL,
    country         text,
    currency        text,
    status          text NOT NULL,
    changed_at      timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    version         integer NOT NULL DEFAULT 1,
    PRIMARY KEY (system, mdm_id)
);
CREATE INDEX master_entity_code ON core.master_entity (code);

CREATE TABLE core.master_version (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    system          text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('customer', 'legal_entity')),
    mdm_id          text NOT NULL,
    version         integer NOT NULL,
    record          jsonb NOT NULL,
    changed_at      timestamptz NOT NULL,
    recorded_at     timestamptz NOT NULL,
    recorded_xid    xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX master_version_of ON core.master_version (system, kind, mdm_id, seq);

-- A person decided which master record a CLM's customer code means; mdm_id null: it is none of those that are alike.
CREATE TABLE core.customer_match (
    source          text NOT NULL,
    code            text NOT NULL,
    system          text,
    mdm_id          text,
    decided_by      text NOT NULL,
    reason          text NOT NULL,
    decided_at      timestamptz NOT NULL,
    version         integer NOT NULL DEFAULT 1,
    PRIMARY KEY (source, code)
);
CREATE INDEX contract_by_customer ON core.contract (customer_code) WHERE customer_code <> '';
GRANT SELECT, INSERT, UPDATE ON core.master_customer, core.master_entity, core.customer_match TO %APP_ROLE%;
GRANT SELECT, INSERT ON core.master_version TO %APP_ROLE%;
