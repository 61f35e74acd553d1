-- A name under which versions of a model are published.
CREATE TABLE model (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT, -- place in lists
    name         TEXT    NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 128),
    last_version INTEGER NOT NULL CHECK (last_version >= 1) -- highest ever given
) STRICT;

-- One trained model; never changed. It names its job and dataset without foreign keys,
-- because models outlive both. The large columns come last, so that lists do not read them.
CREATE TABLE model_version (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    model_seq      INTEGER NOT NULL REFERENCES model (seq) ON DELETE CASCADE,
    version        INTEGER NOT NULL CHECK (version >= 1),
    id             TEXT    NOT NULL UNIQUE CHECK (length(id) BETWEEN 1 AND 39),
    job_id         TEXT    NOT NULL,
    dataset_id     TEXT    NOT NULL,
    dataset_sha256 TEXT    NOT NULL, -- of the upload it was trained on, hex
    task           TEXT    NOT NULL CHECK (task IN ('regression', 'binary', 'multiclass')),
    n_weights      INTEGER NOT NULL CHECK (n_weights >= 0),
    libraries      TEXT    NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    weights_sha256 TEXT    NOT NULL CHECK (length(weights_sha256) = 64), -- hex
    encoder_sha256 TEXT    NOT NULL CHECK (length(encoder_sha256) = 64), -- hex
    parameters     BLOB    NOT NULL, -- entity/parameters, resolved
    metrics        BLOB    NOT NULL, -- entity/metrics
    encoder        BLOB    NOT NULL, -- table/encoder_codec
    weights        BLOB    NOT NULL, -- core/weights
    UNIQUE (model_seq, version)
) STRICT;
