-- What a letter in doubt left out: whether its reader has it nobody knows, so no later edition brings it, but
-- that letter does, under its own Message-ID, once it can be told again.
ALTER TABLE ledger ADD COLUMN owed BIGINT NOT NULL DEFAULT 0 CHECK (owed IN (0, 1));
CREATE INDEX ledger_owed ON ledger (edition, subscriber) WHERE owed = 1;
