-- Letters whose fate is unknown, editions that go wrong, and copies of the store.

-- Written before a letter's text may go out, where mail.uncertain = "hold" asks for that; gone when
-- its outcome is known.
ALTER TABLE deliveries ADD COLUMN handed_at BIGINT;

-- The letter as it went out, while nobody knows whether it was taken. The repeat is these bytes.
CREATE TABLE kept_letters (
    delivery BIGINT PRIMARY KEY REFERENCES deliveries (n),
    articles TEXT NOT NULL,                     -- their numbers: with others it is another letter
    bytes    BYTEA NOT NULL
);

-- What became of an edition's letters so far, and when the breaker stopped it.
ALTER TABLE editions ADD COLUMN accepted BIGINT NOT NULL DEFAULT 0;
ALTER TABLE editions ADD COLUMN bounced BIGINT NOT NULL DEFAULT 0;
ALTER TABLE editions ADD COLUMN stopped_at BIGINT;
UPDATE editions SET
    accepted = (SELECT count(*) FROM deliveries d WHERE d.edition = editions.n AND d.state = 'accepted'),
    bounced = (SELECT count(*) FROM deliveries d WHERE d.edition = editions.n AND d.state = 'bounced');

-- Where the database lies that mails; a copy elsewhere does not. NULL until somebody serves.
ALTER TABLE installation ADD COLUMN home TEXT;
