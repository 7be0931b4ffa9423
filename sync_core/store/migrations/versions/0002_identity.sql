-- Sessions began with loose role words; grants with their reach take their place, so everyone signs in once more.
DELETE FROM core.login_link;
DELETE FROM core.session;
ALTER TABLE core.login_link RENAME COLUMN roles TO grants;
ALTER TABLE core.session RENAME COLUMN roles TO grants;
-- issuer, subject and idp_session are the identity provider's; the id token is kept for its sign-out page alone.
ALTER TABLE core.session
    ADD COLUMN session_id   bigint GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN issuer       text,
    ADD COLUMN subject      text,
    ADD COLUMN idp_session  text,
    ADD COLUMN id_token     text;
CREATE INDEX session_of_person ON core.session (email) WHERE revoked_at IS NULL;
CREATE INDEX session_of_subject ON core.session (issuer, subject) WHERE revoked_at IS NULL AND issuer IS NOT NULL;
CREATE INDEX session_of_idp_session ON core.session (issuer, idp_session)
    WHERE revoked_at IS NULL AND idp_session IS NOT NULL;
CREATE INDEX session_by_end ON core.session (expires_at);
CREATE INDEX session_with_id_token ON core.session (expires_at) WHERE id_token IS NOT NULL;

-- A sign-in on its way through the identity provider. Nonce and PKCE verifier are made from the browser's cookie.
CREATE TABLE core.login_attempt (
    state_hash      bytea PRIMARY KEY,
    browser_hash    bytea NOT NULL,
    return_to       text NOT NULL,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL
);
CREATE INDEX login_attempt_by_end ON core.login_attempt (expires_at);

-- Programs that get tokens at POST /oauth/token. entities: null is all.
CREATE TABLE core.api_client (
    client_id       text PRIMARY KEY,
    description     text NOT NULL,
    scopes          text[] NOT NULL,
    entities        text[],
    created_by      text NOT NULL,
    created_at      timestamptz NOT NULL,
    disabled_at     timestamptz,
    version         integer NOT NULL DEFAULT 1
);
CREATE TABLE core.api_client_secret (
    secret_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id       text NOT NULL REFERENCES core.api_client,
    secret_hash     bytea NOT NULL,
    created_at      timestamptz NOT NULL,
    last_used_at    timestamptz,
    revoked_at      timestamptz
);
CREATE INDEX api_client_secret_in_force ON core.api_client_secret (client_id) WHERE revoked_at IS NULL;
-- A token dies with its secret and its client, whatever its own end.
CREATE TABLE core.api_token (
    token_hash      bytea PRIMARY KEY,
    client_id       text NOT NULL REFERENCES core.api_client,
    secret_id       bigint NOT NULL REFERENCES core.api_client_secret,
    scopes          text[] NOT NULL,
    issued_at       timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL
);
CREATE INDEX api_token_by_end ON core.api_token (expires_at);

-- Refused sign-ins and tokens, counted by minute: what limits guessing, and what the audit sums up.
CREATE TABLE core.refusal (
    minute          timestamptz NOT NULL,
    kind            text NOT NULL,
    who             text NOT NULL,
    count           integer NOT NULL,
    audited_at      timestamptz,
    PRIMARY KEY (kind, who, minute)
);
CREATE INDEX refusal_to_audit ON core.refusal (minute) WHERE audited_at IS NULL;
CREATE INDEX refusal_by_age ON core.refusal (minute);

GRANT SELECT, INSERT, UPDATE, DELETE ON core.login_attempt, core.api_token, core.refusal TO %APP_ROLE%;
GRANT SELECT, INSERT, UPDATE ON core.api_client, core.api_client_secret TO %APP_ROLE%;
