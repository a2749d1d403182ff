-- From schema 5 to 6: a walk through a folder's rows forgets what left long ago.
ALTER TABLE folder ADD COLUMN walked_to ANY;
ALTER TABLE folder ADD COLUMN walked_ms INTEGER;
