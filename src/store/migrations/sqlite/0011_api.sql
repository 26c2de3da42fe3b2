-- The newsroom's API: who may use it, and what was answered to requests that may be repeated.

CREATE TABLE api_tokens (
    name       TEXT   PRIMARY KEY NOT NULL,
    handle     TEXT   NOT NULL UNIQUE,          -- by what it is looked up; no secret
    digest     BLOB   NOT NULL,                 -- SHA-256 of the secret
    scopes     TEXT   NOT NULL,                 -- domain::Scopes
    created_at BIGINT NOT NULL,
    expires_at BIGINT                           -- NULL: never
);

-- Kept for a day. Holds no address: answers about readers name none.
CREATE TABLE api_answers (
    handle        TEXT   NOT NULL REFERENCES api_tokens (handle) ON DELETE CASCADE,
    key           TEXT   NOT NULL,              -- Idempotency-Key
    fingerprint   TEXT   NOT NULL,              -- of the request, whose repeats are the same
    asked_at      BIGINT NOT NULL,
    claimed_until BIGINT NOT NULL,              -- how long the first request has for its answer
    status        BIGINT,                       -- NULL: under way
    head          TEXT,                         -- JSON: the fields of its header
    body          TEXT,
    PRIMARY KEY (handle, key)
);
CREATE INDEX api_answers_by_age ON api_answers (asked_at);
