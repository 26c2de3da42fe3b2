-- The order of what a reader changes. A clock that was put back does not tell it; his changes are counted.

-- By which of its reader's changes a subscription began, or ended. Former ones by their instants: the
-- next number is one more than the highest.
ALTER TABLE subscriptions ADD COLUMN change BIGINT NOT NULL DEFAULT 0;
UPDATE subscriptions SET change = coalesce(ended_at, started_at);
-- The last edition that was cut before it ended.
ALTER TABLE subscriptions ADD COLUMN ended_behind BIGINT;
UPDATE subscriptions SET ended_behind = coalesce((SELECT max(n) FROM editions WHERE cut_at <= ended_at), 0)
WHERE ended_at IS NOT NULL;

-- Its reader's last change when it was suppressed.
ALTER TABLE deliveries ADD COLUMN held_back BIGINT;
UPDATE deliveries SET held_back = settled_at WHERE state = 'suppressed';

-- The leaving after which the reader was told that nothing comes any more.
ALTER TABLE subscribers ADD COLUMN goodbye BIGINT;
UPDATE subscribers SET goodbye = (SELECT max(s.change) FROM subscriptions s WHERE s.subscriber = subscribers.n)
WHERE EXISTS (
    SELECT 1 FROM opt_ins o WHERE o.subscriber = subscribers.n AND o.kind = 'goodbye' AND o.requested_at >= (
        SELECT max(s.change) FROM subscriptions s WHERE s.subscriber = subscribers.n));
