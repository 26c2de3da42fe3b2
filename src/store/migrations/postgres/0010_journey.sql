-- Letters about a subscription beside the question: a welcome, a goodbye, a change of address.
ALTER TABLE opt_ins ADD COLUMN kind TEXT NOT NULL DEFAULT 'confirmation'
    CHECK (kind IN ('confirmation', 'welcome', 'goodbye', 'address', 'moved'));
ALTER TABLE opt_ins ADD COLUMN address TEXT;        -- where the letter goes, if not to its subscriber
ALTER TABLE opt_ins ADD COLUMN confirmed_from TEXT; -- network address of who said yes
