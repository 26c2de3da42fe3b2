-- Who reads by mail, what they asked for, and what they got.

CREATE TABLE subscribers (
    n            INTEGER PRIMARY KEY,
    address      TEXT   NOT NULL,               -- as its owner writes it
    address_key  TEXT   NOT NULL UNIQUE,        -- EmailAddress::key
    state        TEXT   NOT NULL CHECK (state IN ('pending', 'active', 'unsubscribed', 'bounced', 'complained')),
    language     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    confirmed_at BIGINT
);

-- A request to subscribe: the proof of consent once it is confirmed.
CREATE TABLE opt_ins (
    n              INTEGER PRIMARY KEY,
    subscriber     BIGINT NOT NULL REFERENCES subscribers (n),
    digest         TEXT   NOT NULL,
    feeds          TEXT   NOT NULL,             -- JSON array of feed keys
    language       TEXT   NOT NULL,
    requested_at   BIGINT NOT NULL,
    remote_address TEXT   NOT NULL,
    wording        TEXT   NOT NULL,             -- what the reader was shown and agreed to
    confirmed_at   BIGINT
);
CREATE INDEX opt_ins_by_subscriber ON opt_ins (subscriber, requested_at);

CREATE TABLE subscriptions (
    n            INTEGER PRIMARY KEY,
    subscriber   BIGINT NOT NULL REFERENCES subscribers (n),
    feed         BIGINT NOT NULL REFERENCES feeds (n),
    frequency    TEXT   NOT NULL,               -- 'digest:' and its slug
    cursor       BIGINT NOT NULL,               -- publish sequence up to which it is served
    started_at   BIGINT NOT NULL,
    ended_at     BIGINT,
    ended_reason TEXT
);
CREATE UNIQUE INDEX subscriptions_running ON subscriptions (subscriber, feed) WHERE ended_at IS NULL;
CREATE INDEX subscriptions_by_subscriber ON subscriptions (subscriber);
CREATE INDEX subscriptions_by_frequency ON subscriptions (frequency, feed) WHERE ended_at IS NULL;

CREATE TABLE digests (
    n         INTEGER PRIMARY KEY,
    slug      TEXT   NOT NULL UNIQUE,
    schedule  TEXT   NOT NULL,                  -- as text; a changed one moves next_slot
    next_slot BIGINT NOT NULL
);

CREATE TABLE editions (
    n            INTEGER PRIMARY KEY,
    digest       BIGINT NOT NULL REFERENCES digests (n),
    slot         BIGINT NOT NULL,
    cut_at       BIGINT NOT NULL,
    cut          BIGINT NOT NULL,               -- publish sequence up to which articles are in it
    completed_at BIGINT,
    UNIQUE (digest, slot)                       -- one edition a slot, however many instances ask
);

-- The frozen list. A retry says what the first try said, also after a correction.
CREATE TABLE edition_entries (
    edition  BIGINT NOT NULL REFERENCES editions (n),
    article  BIGINT NOT NULL REFERENCES articles (n),
    revision BIGINT NOT NULL,
    PRIMARY KEY (edition, article)
) WITHOUT ROWID;

-- Each article reaches each subscriber once, whatever the category, frequency or edition.
-- No REFERENCES: a cut fills it by joining the very tables, in which nothing is ever deleted.
CREATE TABLE ledger (
    subscriber BIGINT NOT NULL,
    article    BIGINT NOT NULL,
    edition    BIGINT NOT NULL,
    PRIMARY KEY (subscriber, article)
) WITHOUT ROWID;
CREATE INDEX ledger_by_edition ON ledger (edition, subscriber);

CREATE TABLE deliveries (
    n          INTEGER PRIMARY KEY,
    kind       TEXT   NOT NULL CHECK (kind IN ('confirmation', 'edition')),
    urgency    BIGINT NOT NULL,                 -- 0 before 1: somebody waits for a confirmation
    edition    BIGINT REFERENCES editions (n),
    opt_in     BIGINT REFERENCES opt_ins (n),
    subscriber BIGINT NOT NULL REFERENCES subscribers (n),
    state      TEXT   NOT NULL CHECK (state IN ('pending', 'claimed', 'accepted', 'deferred', 'bounced', 'suppressed', 'uncertain')),
    attempts   BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,                 -- the next try, or the end of the claim
    claimed_by TEXT,
    settled_at BIGINT,                          -- NULL while it may still be tried
    reply      TEXT,                            -- the last words of the next mail server
    UNIQUE (edition, subscriber),
    UNIQUE (opt_in),
    CHECK ((edition IS NULL) <> (opt_in IS NULL))
);
CREATE INDEX deliveries_due ON deliveries (urgency, due_at, n) WHERE settled_at IS NULL;
CREATE INDEX deliveries_by_state ON deliveries (edition, state);
CREATE INDEX deliveries_by_subscriber ON deliveries (subscriber);

-- Addresses that must not be mailed, also after the subscriber was erased.
CREATE TABLE suppressions (
    address_hash TEXT PRIMARY KEY,              -- HMAC of EmailAddress::key
    reason       TEXT   NOT NULL,
    since        BIGINT NOT NULL
) WITHOUT ROWID;
