-- Hubs that polled feeds name (WebSub): what we ask of them, and until when they push.

CREATE TABLE source_hubs (
    source     BIGINT PRIMARY KEY REFERENCES sources (n),
    hub        TEXT   NOT NULL,                 -- its address
    topic      TEXT   NOT NULL,                 -- what it is asked to push
    key        TEXT   NOT NULL,                 -- last part of the callback's address; only the hub knows it
    secret     TEXT   NOT NULL,                 -- what its pushes are signed with
    due_at     BIGINT NOT NULL,                 -- when it is asked, or asked again
    attempts   BIGINT NOT NULL,                 -- since it last agreed
    asked_at   BIGINT,                          -- for a while from then on it may ask whether that was meant
    ends_at    BIGINT,                          -- of its lease; NULL: it has not agreed, or said no
    pushed_at  BIGINT,
    believed   BIGINT NOT NULL CHECK (believed IN (0, 1)), -- it has pushed, and nothing came without it since
    last_error TEXT
) WITHOUT ROWID;
CREATE INDEX source_hubs_due ON source_hubs (due_at);

-- When a hub last said that there is news, until a look that began later has ended well.
ALTER TABLE sources ADD COLUMN announced_at BIGINT;
