-- A key has one successor: rotated twice at once it would have two, and nobody would miss the other's secret.
ALTER TABLE signing_keys ADD COLUMN replaced_by text COLLATE "C";

-- An upload that went wrong does not take its place for a day.
GRANT DELETE ON replay_jobs TO fairtally_api;
