-- The column that says how much each row counts; NULL: all the same.
ALTER TABLE job ADD COLUMN sample_weight TEXT;
