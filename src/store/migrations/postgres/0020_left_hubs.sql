-- A feed may name several hubs: where one does not agree the next is asked.
ALTER TABLE source_hubs ADD COLUMN hubs TEXT NOT NULL DEFAULT ''; -- all that it names, in its order, one a line

-- Hubs that pushed when their feed, or the newsroom, wanted them no more: they are told so.
CREATE TABLE left_hubs (
    key      TEXT   PRIMARY KEY,                -- of the callback that it pushes to
    name     TEXT   NOT NULL,                   -- of the source
    hub      TEXT   NOT NULL,
    topic    TEXT   NOT NULL,
    due_at   BIGINT NOT NULL,                   -- when it is told, or told again
    attempts BIGINT NOT NULL,
    ends_at  BIGINT NOT NULL                    -- of its lease; then it ends by itself
);
CREATE INDEX left_hubs_due ON left_hubs (due_at);
