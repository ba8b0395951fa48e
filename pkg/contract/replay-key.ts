/** What the ids of keys begin with that sign replays: what they send is marked as a replay. No other key may have such an id. */
export const REPLAY_KEY_PREFIX = 'replay-';
