-- The newsroom's ledger. Instants are microseconds since 1970 (UTC); flags are 0 or 1.
-- `n` is a row's number inside the store; `id` is what the outside knows it by.

CREATE TABLE installation (
    one              BIGINT PRIMARY KEY CHECK (one = 1),
    publication      TEXT   NOT NULL,           -- UUID; feeds derive their permanent ids from it
    secret           BLOB   NOT NULL,           -- 32 bytes; tokens and Message-IDs derive from it
    publish_sequence BIGINT NOT NULL            -- see store::sequence: held locked until commit
);
-- Always there, so that its lock is; the first start fills in who it is.
INSERT INTO installation (one, publication, secret, publish_sequence) VALUES (1, '', x'', 0);

CREATE TABLE categories (
    n      INTEGER PRIMARY KEY,
    id     TEXT NOT NULL UNIQUE,
    slug   TEXT NOT NULL UNIQUE,
    title  TEXT NOT NULL,
    folded TEXT NOT NULL UNIQUE,                -- two spellings of a title are one section
    parent BIGINT REFERENCES categories (n)
);

CREATE TABLE articles (
    n              INTEGER PRIMARY KEY,
    id             TEXT   NOT NULL UNIQUE,
    state          TEXT   NOT NULL CHECK (state IN ('embargoed', 'visible', 'withdrawn')),
    revision       BIGINT NOT NULL,
    fingerprint    TEXT   NOT NULL,             -- of the present revision, see Draft::fingerprint
    title          TEXT   NOT NULL,
    summary        TEXT,
    url            TEXT,
    language       TEXT,
    details        TEXT   NOT NULL,             -- JSON: authors, tags, image, enclosures, source
    published_at   BIGINT NOT NULL,             -- fixed once visible
    updated_at     BIGINT NOT NULL,             -- last significant revision
    accepted_at    BIGINT NOT NULL,
    visible_since  BIGINT,
    sequence       BIGINT,                      -- publish sequence at which it became visible
    mailable       BIGINT NOT NULL DEFAULT 1 CHECK (mailable IN (0, 1)), -- 0: from an archive
    withdrawn_at   BIGINT
);
CREATE INDEX articles_by_state ON articles (state, published_at, n);
CREATE INDEX articles_by_visibility ON articles (visible_since, sequence);

-- In a table of their own, so that lists never touch their overflow pages (crates.md §3e).
CREATE TABLE article_bodies (
    article INTEGER PRIMARY KEY REFERENCES articles (n),
    html    TEXT NOT NULL
);

-- What an article was before; its present state is in `articles`.
CREATE TABLE revisions (
    article       BIGINT NOT NULL REFERENCES articles (n),
    number        BIGINT NOT NULL,
    superseded_at BIGINT NOT NULL,
    content       TEXT   NOT NULL,              -- JSON: title, summary, url, language, details, html, updated_at
    PRIMARY KEY (article, number)
);

-- What an article is recognised by when it comes in again; several keys lead to one article.
CREATE TABLE article_keys (
    key     TEXT PRIMARY KEY,
    article BIGINT NOT NULL REFERENCES articles (n)
) WITHOUT ROWID;
CREATE INDEX article_keys_by_article ON article_keys (article);

CREATE TABLE article_categories (
    article  BIGINT NOT NULL REFERENCES articles (n),
    category BIGINT NOT NULL REFERENCES categories (n),
    position BIGINT NOT NULL,
    PRIMARY KEY (article, category)
) WITHOUT ROWID;
CREATE INDEX article_categories_by_category ON article_categories (category);

-- domain::fold leaves lower-case letters, digits and blanks; `ascii` takes exactly these words, and
-- as only their presence counts, no positions are kept.
CREATE VIRTUAL TABLE article_search USING fts5 (
    words, content = '', contentless_delete = 1, tokenize = 'ascii', detail = 'none'
);

-- When each feed last changed. changed_at never runs backwards.
CREATE TABLE feeds (
    n             INTEGER PRIMARY KEY,
    key           TEXT   NOT NULL UNIQUE,       -- domain::FeedKey
    changed_at    BIGINT NOT NULL,
    change_number BIGINT NOT NULL,              -- publish sequence of the last change
    same_second   BIGINT NOT NULL CHECK (same_second IN (0, 1)), -- changed twice within that second
    definition    TEXT   NOT NULL DEFAULT ''    -- fingerprint of title, window and the like
);
CREATE INDEX feeds_by_change ON feeds (change_number);

-- Which visible articles stand in which feed. The only thing a feed or a digest is selected from.
CREATE TABLE entries (
    feed         BIGINT NOT NULL REFERENCES feeds (n),
    article      BIGINT NOT NULL REFERENCES articles (n),
    published_at BIGINT NOT NULL,
    sequence     BIGINT NOT NULL,               -- when it entered this feed; 0 where never mailed
    PRIMARY KEY (feed, article)
) WITHOUT ROWID;
CREATE INDEX entries_by_age ON entries (feed, published_at DESC, article DESC);
CREATE INDEX entries_by_sequence ON entries (feed, sequence);
CREATE INDEX entries_by_article ON entries (article);
