-- Where a job's training can go on from after its process died or was stopped: one that is
-- ready, and beside it one whose bytes are still being written, which nobody reads and the
-- next one replaces. Both go when the job ends.
CREATE TABLE job_checkpoint (
    seq             INTEGER PRIMARY KEY,
    job_seq         INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE,
    state           TEXT    NOT NULL CHECK (state IN ('writing', 'ready')),
    epoch           INTEGER NOT NULL CHECK (epoch >= 1),           -- finished
    attempts_before INTEGER NOT NULL CHECK (attempts_before >= 0), -- before the one that wrote it
    n_bytes         INTEGER NOT NULL CHECK (n_bytes >= 0),
    sha256          BLOB    NOT NULL CHECK (length(sha256) = 32),  -- of all its bytes
    created_at_ms   INTEGER NOT NULL,
    UNIQUE (job_seq, state)
) STRICT;

-- Its bytes (core/fit), cut so that no transaction is large.
CREATE TABLE job_checkpoint_chunk (
    checkpoint_seq INTEGER NOT NULL REFERENCES job_checkpoint (seq) ON DELETE CASCADE,
    chunk          INTEGER NOT NULL CHECK (chunk >= 0),
    bytes          BLOB    NOT NULL,
    UNIQUE (checkpoint_seq, chunk)
) STRICT;

-- The checkpoint's epoch that the last attempt began with; 0: it began anew.
ALTER TABLE job ADD COLUMN resumed_from_epoch INTEGER NOT NULL DEFAULT 0;

-- The model version that training went on from; NULL: from random weights. Named without a
-- foreign key, because what was learnt outlives it; the digest tells it from a later one of
-- the same name and number.
ALTER TABLE job ADD COLUMN warm_start_model TEXT;
ALTER TABLE job ADD COLUMN warm_start_version INTEGER;
ALTER TABLE job ADD COLUMN warm_start_sha256 TEXT;
ALTER TABLE model_version ADD COLUMN warm_start_model TEXT;
ALTER TABLE model_version ADD COLUMN warm_start_version INTEGER;
ALTER TABLE model_version ADD COLUMN warm_start_sha256 TEXT;
