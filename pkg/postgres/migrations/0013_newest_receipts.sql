-- The receipts of a game, newest first: a page of millions is read off the end of this, and what is granted is put there.
CREATE INDEX receipts_by_time ON receipts (game_id, ts_ms, receipt_id);
