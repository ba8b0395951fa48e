-- Whoever is put back on the boards, by whatever hand, is hidden no more by the verdicts before: those are overruled, and only
-- a later one asks for hiding. Revisions of player_state say what came before and after; they are given under its row's lock.

ALTER TABLE player_state ADD COLUMN restored_revision bigint NOT NULL DEFAULT 0;  -- the last that put the player back
ALTER TABLE cases ADD COLUMN asked_revision bigint;     -- of player_state, when the verdict asked that the player be hidden

-- A hiding that a verdict began, began where the player was not hidden.
UPDATE player_state p SET restored_revision = CASE WHEN p.hidden THEN coalesce(
  (SELECT max(c.hiding_revision) - 1 FROM cases c WHERE c.game_id = p.game_id AND c.player_id = p.player_id AND c.hid), 0)
  ELSE p.revision END;
UPDATE cases c SET asked_revision = coalesce(c.hiding_revision, p.revision)
  FROM player_state p WHERE p.game_id = c.game_id AND p.player_id = c.player_id AND c.hid;

-- Here, for restoring is done by the API and by a command.
CREATE FUNCTION note_restored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.restored_revision := NEW.revision;
  RETURN NEW;
END $$;
CREATE TRIGGER player_state_restored BEFORE UPDATE ON player_state
  FOR EACH ROW WHEN (OLD.hidden AND NOT NEW.hidden) EXECUTE FUNCTION note_restored();

GRANT UPDATE (asked_revision) ON cases TO fairtally_api;
