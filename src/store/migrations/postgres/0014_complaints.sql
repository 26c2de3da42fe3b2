-- How many readers of an edition complained of it.
ALTER TABLE editions ADD COLUMN complained BIGINT NOT NULL DEFAULT 0;
UPDATE editions SET complained = (
    SELECT count(*) FROM deliveries d JOIN bounces b ON b.delivery = d.n
    WHERE d.edition = editions.n AND b.class = 'complaint');
