-- What a role settled a moment ago is found without reading all it ever settled: rows come in the order of this time, more or
-- less, and a summary of a few bytes per megabyte costs an insertion next to nothing.
CREATE INDEX inbox_by_settlement ON inbox USING brin (settled_at) WITH (pages_per_range = 32, autosummarize = on);

-- Where the reconciler of boards and players goes on, and when: whichever worker comes first takes the next step.
CREATE TABLE healing_walks (
  kind    text COLLATE "C" PRIMARY KEY,                 -- view | truth
  place   text[]      NOT NULL,                         -- the key it has reached; empty: it begins anew
  next_at timestamptz NOT NULL                          -- not before
);
