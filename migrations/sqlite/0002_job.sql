-- One training run. The table is the queue: a queued row waits for a worker, oldest first.
-- It names its dataset without a foreign key, because jobs outlive datasets.
CREATE TABLE job (
    seq                INTEGER PRIMARY KEY AUTOINCREMENT, -- place in queue and lists
    id                 TEXT    NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 39),
    model              TEXT    NOT NULL CHECK (length(model) BETWEEN 1 AND 128),
    dataset_id         TEXT    NOT NULL,
    target             TEXT    NOT NULL,
    features           BLOB    NOT NULL, -- entity/job
    task               TEXT    NOT NULL CHECK (task IN ('regression', 'binary', 'multiclass')),
    parameters         BLOB    NOT NULL, -- entity/parameters
    state              TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'cancelling',
                                                         'succeeded', 'failed', 'cancelled')),
    attempts           INTEGER NOT NULL CHECK (attempts >= 0),      -- times it was claimed
    epoch              INTEGER NOT NULL CHECK (epoch >= 0),         -- finished
    train_loss         REAL, -- NULL: not known
    validation_loss    REAL,
    samples_per_second REAL,
    eta_seconds        REAL,
    model_version      INTEGER NOT NULL CHECK (model_version >= 0), -- 0: none made
    metrics            BLOB    NOT NULL, -- entity/metrics; empty: none yet
    warnings           BLOB    NOT NULL, -- table/warnings
    error_code         TEXT    NOT NULL, -- '': did not fail
    error_message      TEXT    NOT NULL,
    error_hint         TEXT    NOT NULL,
    created_at_ms      INTEGER NOT NULL,
    started_at_ms      INTEGER, -- NULL: not yet
    finished_at_ms     INTEGER, -- NULL: not yet
    CHECK ((state = 'succeeded') = (model_version > 0)),
    CHECK ((state = 'failed') = (error_code <> '')),
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at_ms IS NOT NULL))
) STRICT;

-- The queue's next one, what a dead process left, and the lists of one state.
CREATE INDEX job_by_state_in_order ON job (state, seq);
CREATE INDEX job_unfinished_by_dataset ON job (dataset_id)
    WHERE state IN ('queued', 'running', 'cancelling');

-- One change of a job's state, with when and why. Number 1 is its submission.
CREATE TABLE job_transition (
    job_seq INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE,
    number  INTEGER NOT NULL CHECK (number >= 1),
    state   TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'cancelling',
                                              'succeeded', 'failed', 'cancelled')),
    at_ms   INTEGER NOT NULL,
    cause   TEXT    NOT NULL,
    PRIMARY KEY (job_seq, number)
) STRICT, WITHOUT ROWID;

-- One finished epoch of a job: its history.
CREATE TABLE job_epoch (
    job_seq         INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE,
    epoch           INTEGER NOT NULL CHECK (epoch >= 0),
    train_loss      REAL,
    validation_loss REAL, -- NULL: no validation rows
    at_ms           INTEGER NOT NULL,
    PRIMARY KEY (job_seq, epoch)
) STRICT, WITHOUT ROWID;
