-- Keys of access tokens take turns: each signs from an instant on, which every process has learnt of by then, and once the
-- next one signs it is kept until the last token that it signed has died.
ALTER TABLE admin_token_keys
  ADD COLUMN signs_from     timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN verifies_until timestamptz;                  -- null: there is no next one yet
UPDATE admin_token_keys SET signs_from = created_at;

-- What refresh tokens follow from one another by. It stays when those keys change, so that a lost answer can still be repeated.
CREATE TABLE admin_refresh_secret (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  secret   text        NOT NULL,                          -- sealed, see pkg/secrets
  made_at  timestamptz NOT NULL DEFAULT now()
);

GRANT UPDATE (verifies_until), DELETE ON admin_token_keys TO fairtally_api;
GRANT SELECT, INSERT ON admin_refresh_secret TO fairtally_api;
