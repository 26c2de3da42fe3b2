-- Feeds of labels, archive pages (RFC 5005), tombstones (RFC 6721), former slugs.

-- Tags, bylines and sources; their feeds have the key 'label:' and the id.
CREATE TABLE labels (
    n     INTEGER PRIMARY KEY,
    id    TEXT NOT NULL UNIQUE,                 -- domain::Label: made of the folded letters
    kind  TEXT NOT NULL CHECK (kind IN ('tag', 'author', 'source')),
    slug  TEXT NOT NULL,
    title TEXT NOT NULL,                        -- as it was written first
    UNIQUE (kind, slug)
);

-- The archive page in which an entry stands; 0 while it is in none. What is in no page is in the
-- window: a page is closed in the transaction in which one of these leaves it.
ALTER TABLE entries ADD COLUMN page BIGINT NOT NULL DEFAULT 0;
CREATE INDEX entries_open ON entries (feed, published_at, article) WHERE page = 0;
CREATE INDEX entries_by_page ON entries (feed, page, published_at, article) WHERE page > 0;

ALTER TABLE feeds ADD COLUMN window_size BIGINT NOT NULL DEFAULT 50;
ALTER TABLE feeds ADD COLUMN pages BIGINT NOT NULL DEFAULT 0;      -- closed ones, numbered from 1
ALTER TABLE feeds ADD COLUMN defined_at BIGINT NOT NULL DEFAULT 0; -- when title, window and the like last changed

-- When each closed page last changed: when it was closed, when an entry of it was revised or left,
-- when the next one was closed and linked.
CREATE TABLE archives (
    feed          BIGINT NOT NULL REFERENCES feeds (n),
    page          BIGINT NOT NULL,
    closed_by     BIGINT NOT NULL,              -- publish sequence; puts the pages of several feeds in one order
    changed_at    BIGINT NOT NULL,
    change_number BIGINT NOT NULL,
    same_second   BIGINT NOT NULL CHECK (same_second IN (0, 1)),
    PRIMARY KEY (feed, page)
) WITHOUT ROWID;
CREATE INDEX archives_by_closing ON archives (feed, closed_by);

-- What was taken back out of which feed, until it is published again.
CREATE TABLE tombstones (
    feed         BIGINT NOT NULL REFERENCES feeds (n),
    article      BIGINT NOT NULL REFERENCES articles (n),
    withdrawn_at BIGINT NOT NULL,
    PRIMARY KEY (feed, article)
) WITHOUT ROWID;
CREATE INDEX tombstones_by_age ON tombstones (feed, withdrawn_at DESC, article DESC);
CREATE INDEX tombstones_by_article ON tombstones (article);

-- Slugs that categories had: they lead to the present one for ever.
CREATE TABLE former_slugs (
    slug     TEXT PRIMARY KEY,
    category BIGINT NOT NULL REFERENCES categories (n)
) WITHOUT ROWID;

-- Moves when a category is made, renamed or moved: whoever keeps the tree in mind reads it again.
ALTER TABLE installation ADD COLUMN tree_version BIGINT NOT NULL DEFAULT 0;
-- Articles up to this one came in before labels had feeds; they are entered when the schema is
-- brought up to date, in batches that a stop may part (store::labels).
ALTER TABLE installation ADD COLUMN unlabelled_to BIGINT NOT NULL DEFAULT 0;
ALTER TABLE installation ADD COLUMN labelled_to BIGINT NOT NULL DEFAULT 0;
UPDATE installation SET unlabelled_to = COALESCE((SELECT max(n) FROM articles), 0);
