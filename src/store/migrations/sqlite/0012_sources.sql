-- What came in and is doubtful waits for a person; and the sources from which articles flow in.

CREATE TABLE drafts (
    n           INTEGER PRIMARY KEY,
    id          TEXT   NOT NULL UNIQUE,         -- of the article that it becomes, where that is new
    input       TEXT   NOT NULL,                -- where it came from: a file, an address, a source
    title       TEXT   NOT NULL,
    content     TEXT   NOT NULL,                -- JSON: domain::Draft
    doubts      TEXT   NOT NULL,                -- JSON: domain::Doubt, each
    fingerprint TEXT   NOT NULL,                -- of what came in: the same again changes nothing
    mailable    BIGINT NOT NULL CHECK (mailable IN (0, 1)),
    taken_at    BIGINT NOT NULL,
    settled_at  BIGINT                          -- published, or put away; NULL: it waits
);
CREATE INDEX drafts_waiting ON drafts (taken_at) WHERE settled_at IS NULL;

-- What a draft is recognised by when it comes in again, as article_keys does for articles.
CREATE TABLE draft_keys (
    key   TEXT PRIMARY KEY,
    draft BIGINT NOT NULL REFERENCES drafts (n)
) WITHOUT ROWID;
CREATE INDEX draft_keys_by_draft ON draft_keys (draft);

CREATE TABLE sources (
    n             INTEGER PRIMARY KEY,
    name          TEXT   NOT NULL UNIQUE,       -- as bantin.toml has it
    definition    TEXT   NOT NULL,              -- fingerprint of what it says: another one begins anew
    memory        TEXT   NOT NULL,              -- JSON: validators, marks; moves with what was taken
    due_at        BIGINT,                       -- the next look, or the end of the claim; NULL: never by itself
    attempts      BIGINT NOT NULL,              -- that failed, since the last that did not
    claimed_by    TEXT,
    looked_at     BIGINT,
    taken_at      BIGINT,                       -- when something last came of it
    succeeded_at  BIGINT,
    failing_since BIGINT,
    last_error    TEXT,
    stopped_at    BIGINT                        -- its server said that it is gone
);

-- What a source has: files, pages, rows. What is wanted and not yet seen is to be taken.
CREATE TABLE source_items (
    source BIGINT NOT NULL REFERENCES sources (n),
    item   TEXT   NOT NULL,                     -- a path, an address, a key
    wanted TEXT   NOT NULL,                     -- its state as it was last met
    seen   TEXT   NOT NULL,                     -- its state as it was last taken; empty before
    error  TEXT,                                -- what was wrong with it then
    PRIMARY KEY (source, item)
) WITHOUT ROWID;
CREATE INDEX source_items_open ON source_items (source, wanted, item) WHERE wanted <> seen;
CREATE INDEX source_items_wrong ON source_items (source, item) WHERE error IS NOT NULL;
