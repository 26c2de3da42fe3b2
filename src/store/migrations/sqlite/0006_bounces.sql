-- What came back of mail, and in whose words.

CREATE TABLE bounces (
    n           INTEGER PRIMARY KEY,
    delivery    BIGINT NOT NULL REFERENCES deliveries (n),
    subscriber  BIGINT NOT NULL REFERENCES subscribers (n),
    class       TEXT   NOT NULL CHECK (class IN ('hard', 'soft', 'policy', 'complaint')),
    way         TEXT   NOT NULL,                -- on which it came to us
    evidence    TEXT   NOT NULL,                -- the server's words, without addresses
    noted_at    BIGINT NOT NULL,
    forgiven_at BIGINT,                         -- since when it counts no more: the suppression was lifted
    UNIQUE (delivery, class)                    -- however often and on how many ways it is reported
);
CREATE INDEX bounces_by_subscriber ON bounces (subscriber, noted_at);
CREATE INDEX bounces_by_class ON bounces (class);

ALTER TABLE suppressions ADD COLUMN evidence TEXT NOT NULL DEFAULT '';
