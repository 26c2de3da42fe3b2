-- What readers choose: how often, on whose clock, how much, with what pause, and searches to be told of.

ALTER TABLE subscribers ADD COLUMN time_zone TEXT;                -- IANA; NULL: the publication's
ALTER TABLE subscribers ADD COLUMN daily_cap BIGINT CHECK (daily_cap > 0); -- editions a day by that clock
ALTER TABLE subscribers ADD COLUMN paused_until BIGINT;
CREATE INDEX subscribers_by_capped_zone ON subscribers (time_zone) WHERE daily_cap IS NOT NULL;
-- How many editions a reader had today.
CREATE INDEX deliveries_by_day ON deliveries (subscriber, created_at) WHERE kind = 'edition';

-- `digests` holds every plan (domain::Plan): declared digests by their slug, and the times that
-- readers chose themselves, by a name that holds a colon. One row is shared by all who chose alike.
ALTER TABLE digests ADD COLUMN cut BIGINT NOT NULL DEFAULT 0;     -- publish sequence of the last cut at once
CREATE INDEX digests_due ON digests (next_slot);
INSERT INTO digests (slug, schedule, next_slot)
SELECT DISTINCT substr(frequency, 8), '', 253402300799000000 FROM subscriptions WHERE frequency LIKE 'digest:%'
ON CONFLICT (slug) DO NOTHING;

-- The plan by which a subscription comes: its frequency on its reader's clock.
ALTER TABLE subscriptions ADD COLUMN plan BIGINT REFERENCES digests (n);
UPDATE subscriptions SET plan = (SELECT n FROM digests WHERE slug = substr(frequency, 8));
DROP INDEX subscriptions_by_frequency;
-- The publish sequence behind which it began; its cursor never goes below.
ALTER TABLE subscriptions ADD COLUMN began BIGINT NOT NULL DEFAULT 0;
CREATE INDEX subscriptions_by_plan ON subscriptions (plan, feed) WHERE ended_at IS NULL;

-- For how many slots an edition stands: more than one after a time in which nothing was cut.
ALTER TABLE editions ADD COLUMN slots BIGINT NOT NULL DEFAULT 1;

-- The wish of a request, feed by feed: JSON array of [feed key, frequency].
ALTER TABLE opt_ins ADD COLUMN wishes TEXT NOT NULL DEFAULT '[]';
ALTER TABLE opt_ins ADD COLUMN time_zone TEXT;
UPDATE opt_ins SET wishes = (
    SELECT json_group_array(json_array(value, 'digest:' || digest)) FROM json_each(feeds));
ALTER TABLE opt_ins DROP COLUMN digest;
ALTER TABLE opt_ins DROP COLUMN feeds;

-- Searches that readers asked to be told of; their feeds have the key 'search:' and the id. An
-- article is held against those whose telling word it holds, not against all.
CREATE TABLE searches (
    n       INTEGER PRIMARY KEY,
    id      TEXT   NOT NULL UNIQUE,             -- domain::SavedSearch: made of the words
    title   TEXT   NOT NULL,                    -- as it was typed first
    words   TEXT   NOT NULL,                    -- folded, in order, with blanks between
    word    TEXT   NOT NULL,                    -- the telling one
    watched BIGINT                              -- publish sequence when the first reader came; NULL: nobody yet
);
CREATE INDEX searches_by_word ON searches (word) WHERE watched IS NOT NULL;

-- Whether an earlier try may have reached the reader: then nothing of it is mailed by another edition.
ALTER TABLE deliveries ADD COLUMN doubted BIGINT NOT NULL DEFAULT 0 CHECK (doubted IN (0, 1));
