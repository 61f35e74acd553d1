-- One uploaded table. Its row comes first, then its chunks in transactions of their own, and
-- last the state "ready": until then nobody sees it, and a restart removes it.
CREATE TABLE dataset (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT, -- place in lists, never used again
    id            TEXT    NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 39),
    name          TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
    state         TEXT    NOT NULL CHECK (state IN ('uploading', 'ready')),
    n_rows        INTEGER NOT NULL CHECK (n_rows >= 0),
    n_columns     INTEGER NOT NULL CHECK (n_columns BETWEEN 0 AND 1000000),
    n_bytes       INTEGER NOT NULL CHECK (n_bytes >= 0),           -- of the upload
    sha256        TEXT    NOT NULL CHECK (length(sha256) = 64),    -- of the upload, hex
    created_at_ms INTEGER NOT NULL,
    warnings      BLOB    NOT NULL                                 -- table/warnings
) STRICT;

CREATE INDEX dataset_ready_newest_first ON dataset (seq) WHERE state = 'ready';
CREATE INDEX dataset_left_uploading ON dataset (seq) WHERE state = 'uploading';

-- One column of a dataset: its name, what it holds, and its profile over all rows.
CREATE TABLE dataset_column (
    dataset_seq  INTEGER NOT NULL REFERENCES dataset (seq) ON DELETE CASCADE,
    column_index INTEGER NOT NULL CHECK (column_index >= 0),
    name         TEXT    NOT NULL,
    kind         TEXT    NOT NULL CHECK (kind IN ('numeric', 'integer', 'categorical')),
    n_missing    INTEGER NOT NULL CHECK (n_missing >= 0),
    min          REAL, -- of the values present; NULL: there are none
    max          REAL,
    mean         REAL,
    std          REAL,
    levels       BLOB    NOT NULL, -- table/table_codec: categories with their counts
    PRIMARY KEY (dataset_seq, column_index)
) STRICT;

-- A run of rows of one column (table/table_codec), about a mebibyte.
CREATE TABLE dataset_chunk (
    dataset_seq  INTEGER NOT NULL,
    column_index INTEGER NOT NULL,
    chunk        INTEGER NOT NULL CHECK (chunk >= 0),            -- from the first rows on
    sha256       BLOB    NOT NULL CHECK (length(sha256) = 32),   -- of bytes
    bytes        BLOB    NOT NULL,
    UNIQUE (dataset_seq, column_index, chunk),
    FOREIGN KEY (dataset_seq, column_index)
        REFERENCES dataset_column (dataset_seq, column_index) ON DELETE CASCADE
) STRICT;
