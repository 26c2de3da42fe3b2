-- What the newsroom does to an edition before it goes out: hold it, write above it, order it.

ALTER TABLE editions ADD COLUMN held_at BIGINT;      -- since when nothing of it is claimed; NULL: not held
ALTER TABLE editions ADD COLUMN held_reason TEXT;
ALTER TABLE editions ADD COLUMN released_at BIGINT;  -- the date of its letters, where it was held before the first
ALTER TABLE editions ADD COLUMN lead TEXT;           -- the editor's words above the articles

ALTER TABLE edition_entries ADD COLUMN place BIGINT; -- the editor's order, from 1; NULL: after those, by age
ALTER TABLE edition_entries ADD COLUMN left_out BIGINT NOT NULL DEFAULT 0 CHECK (left_out IN (0, 1));

ALTER TABLE digests ADD COLUMN review BIGINT NOT NULL DEFAULT 0 CHECK (review IN (0, 1)); -- as its file says
ALTER TABLE digests ADD COLUMN held_at BIGINT;       -- since when every new edition is held
ALTER TABLE digests ADD COLUMN held_reason TEXT;
ALTER TABLE digests ADD COLUMN next_lead TEXT;       -- of the coming edition; the cut takes it over

-- The editor's order of the coming edition; the cut takes it over.
CREATE TABLE next_entries (
    digest   BIGINT NOT NULL REFERENCES digests (n),
    article  BIGINT NOT NULL REFERENCES articles (n),
    place    BIGINT,
    left_out BIGINT NOT NULL CHECK (left_out IN (0, 1)),
    PRIMARY KEY (digest, article)
) WITHOUT ROWID;

-- What is left of who asked to be forgotten: enough to keep old lists from bringing them back.
CREATE TABLE erasures (
    address_hash TEXT PRIMARY KEY,              -- HMAC of EmailAddress::key
    erased_at    BIGINT NOT NULL
) WITHOUT ROWID;
