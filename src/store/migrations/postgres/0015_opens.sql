-- Which letters of editions were opened, where the newsroom counts that (mail.count_opens). Not when, where or
-- by what.
ALTER TABLE deliveries ADD COLUMN opened BIGINT NOT NULL DEFAULT 0 CHECK (opened IN (0, 1));
CREATE INDEX deliveries_opened ON deliveries (edition) WHERE opened = 1;
