-- Which life of the database this is. A database that was restored from a backup begins another one, so that nothing which Redis
-- or a process remembers of events that are not in it any more is ever answered. `beats` only grows: whoever has seen it
-- greater knows that the database was set back.
CREATE TABLE database_life (
  only_one boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
  life     uuid        NOT NULL DEFAULT gen_random_uuid(),
  beats    bigint      NOT NULL DEFAULT 0,
  begun_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO database_life DEFAULT VALUES;
