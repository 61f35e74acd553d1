-- Something that the doctor (core/doctor) found while a job learnt. Each ailment of a layer
-- is found once; a job that starts over begins anew.
CREATE TABLE job_finding (
    job_seq   INTEGER NOT NULL REFERENCES job (seq) ON DELETE CASCADE,
    number    INTEGER NOT NULL CHECK (number >= 1), -- in the order they were found
    ailment   TEXT    NOT NULL CHECK (ailment <> ''),
    epoch     INTEGER NOT NULL CHECK (epoch >= 1),
    layer     INTEGER NOT NULL CHECK (layer >= 0),  -- from 1; 0: the whole net
    value     REAL, -- NULL: not finite
    threshold REAL    NOT NULL,
    message   TEXT    NOT NULL,
    remedy    TEXT    NOT NULL,
    PRIMARY KEY (job_seq, number),
    UNIQUE (job_seq, ailment, layer)
) STRICT, WITHOUT ROWID;

-- The findings of the training that made a model version: a copy, because models outlive
-- jobs.
CREATE TABLE version_finding (
    version_seq INTEGER NOT NULL REFERENCES model_version (seq) ON DELETE CASCADE,
    number      INTEGER NOT NULL CHECK (number >= 1),
    ailment     TEXT    NOT NULL CHECK (ailment <> ''),
    epoch       INTEGER NOT NULL CHECK (epoch >= 1),
    layer       INTEGER NOT NULL CHECK (layer >= 0),
    value       REAL,
    threshold   REAL    NOT NULL,
    message     TEXT    NOT NULL,
    remedy      TEXT    NOT NULL,
    PRIMARY KEY (version_seq, number)
) STRICT, WITHOUT ROWID;
