-- The hub: topics, callbacks with their leases, requests that wait to be verified, and the addresses
-- that the newsroom itself wants told.

CREATE TABLE topics (
    n          INTEGER PRIMARY KEY,
    path       TEXT   NOT NULL UNIQUE,          -- of its document below the base URL, with its query
    subscriber BIGINT REFERENCES subscribers (n), -- whose private feed it is
    noticed    BIGINT NOT NULL,                 -- publish sequence up to which changes were looked at
    entity_tag TEXT   NOT NULL                  -- of the bytes that callbacks were last told of
);
CREATE INDEX topics_by_subscriber ON topics (subscriber);

-- Whose events change a topic. Those of a private feed are its reader's subscriptions.
CREATE TABLE topic_feeds (
    topic BIGINT NOT NULL REFERENCES topics (n),
    feed  TEXT   NOT NULL,                      -- domain::FeedKey
    PRIMARY KEY (topic, feed)
) WITHOUT ROWID;
CREATE INDEX topic_feeds_by_feed ON topic_feeds (feed);

CREATE TABLE callbacks (
    n             INTEGER PRIMARY KEY,
    topic         BIGINT NOT NULL REFERENCES topics (n),
    url           TEXT   NOT NULL,
    host          TEXT   NOT NULL,              -- with its port
    secret        TEXT,
    request       BIGINT NOT NULL,              -- the request that it stands by: an earlier one changes nothing
    verified_at   BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,              -- the end of the lease, or when it was ended
    wanted        BIGINT NOT NULL,              -- the change that the next push shows at least
    pushed        BIGINT NOT NULL,              -- the change that the last accepted push showed
    pushed_tag    TEXT   NOT NULL,              -- its entity tag; empty before the first
    pushed_at     BIGINT,
    due_at        BIGINT,                       -- the next push, or the end of the claim; NULL: nothing to push
    attempts      BIGINT NOT NULL,
    claimed_by    TEXT,
    failing_since BIGINT,
    last_error    TEXT,
    UNIQUE (topic, url)
);
CREATE INDEX callbacks_due ON callbacks (due_at, n) WHERE due_at IS NOT NULL;
CREATE INDEX callbacks_by_lease ON callbacks (expires_at);
CREATE INDEX callbacks_by_topic ON callbacks (topic, expires_at);
CREATE INDEX callbacks_by_host ON callbacks (host, expires_at);

CREATE TABLE callback_requests (
    n          INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again
    mode       TEXT   NOT NULL CHECK (mode IN ('subscribe', 'unsubscribe', 'denied')),
    path       TEXT   NOT NULL,
    url        TEXT   NOT NULL,
    host       TEXT   NOT NULL,
    secret     TEXT,
    lease      BIGINT,                          -- seconds that were asked for
    asked_at   BIGINT NOT NULL,
    since      BIGINT NOT NULL,                 -- publish sequence when it was asked
    due_at     BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    claimed_by TEXT
);
CREATE INDEX callback_requests_due ON callback_requests (due_at, n);
CREATE INDEX callback_requests_by_host ON callback_requests (host);

-- Other hubs, told which topics changed, and webhooks, told what happened: each up to its mark.
CREATE TABLE endpoints (
    n             INTEGER PRIMARY KEY,
    kind          TEXT   NOT NULL CHECK (kind IN ('hub', 'webhook')),
    url           TEXT   NOT NULL,
    told          BIGINT NOT NULL,              -- publish sequence, or number of the event
    due_at        BIGINT NOT NULL,
    attempts      BIGINT NOT NULL,
    claimed_by    TEXT,
    told_at       BIGINT,
    failing_since BIGINT,
    last_error    TEXT,
    UNIQUE (kind, url)
);

-- What webhooks are told; written only while there is one.
CREATE TABLE events (
    n           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT   NOT NULL,
    article     BIGINT REFERENCES articles (n),
    edition     BIGINT REFERENCES editions (n),
    happened_at BIGINT NOT NULL
);
