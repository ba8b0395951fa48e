/** Errors on the wire (RFC 9457). One table: a code has one status, one title and one answer to "may I try again?". */

interface ProblemKind {
  readonly status: number;
  readonly title: string;
  /** What to do about it. Never holds what was sent. */
  readonly detail?: string;
  /** Whether the same request can succeed later. */
  readonly retryable?: true;
}

const bad = (title: string, detail?: string): ProblemKind => kind(400, title, detail);
const kind = (status: number, title: string, detail?: string): ProblemKind =>
  detail === undefined ? { status, title } : { status, title, detail };
const later = (status: number, title: string, detail?: string): ProblemKind => ({
  ...kind(status, title, detail),
  retryable: true,
});

const RAW_BYTES =
  'Sign the raw bytes that are sent, as docs/signing.md says. A body that was serialised again is another body.';

const PROBLEMS = {
  // The body as a whole
  empty_body: bad('The body is empty'),
  malformed_json: bad('The body is not JSON'),
  invalid_utf8: bad('The body is not UTF-8', 'A byte order mark is refused too.'),
  bad_encoding: bad('The body is not what its Content-Encoding says'),
  not_a_batch: bad(
    'The body is not a batch',
    'Send a JSON array, NDJSON, or an object with an array `events`.',
  ),
  empty_batch: bad('The batch has no events'),
  incomplete_body: bad('The connection ended before the body did'),
  body_too_large: kind(413, 'The body is too large'),
  too_many_events: kind(413, 'The batch has too many events'),
  unsupported_media_type: kind(
    415,
    'The content type is not accepted',
    'Send application/json, or application/x-ndjson for a batch; UTF-8 only.',
  ),
  unsupported_encoding: kind(415, 'The content encoding is not accepted', 'Send identity or gzip, once.'),

  // JSON values
  too_deep: bad('Nested too deeply'),
  too_many_keys: bad('Too many keys'),
  duplicate_key: bad('A key stands twice in one object'),
  forbidden_key: bad('A key is not allowed anywhere'),
  invalid_number: bad('Not a number that can be kept exactly'),
  invalid_character: bad('A text holds a character that cannot be kept'),
  string_too_long: bad('A text is too long'),
  unknown_field: bad('A field is not part of the format'),
  missing_field: bad('A field is missing'),
  invalid_field: bad('A field does not have its format'),

  // Events
  invalid_event: bad('The event is not an object'),
  id_required: bad('Every event of a batch needs an id'),
  invalid_id: bad('The id does not have its format', '[A-Za-z0-9_.:-], 1 to 64 characters.'),
  invalid_type: bad('The event type does not have its format'),
  invalid_player_id: bad('The player id does not have its format', 'A text of 1 to 128 bytes of UTF-8.'),
  invalid_ts: bad(
    'The time does not have its format',
    'Milliseconds, seconds with fraction, or an RFC 3339 date-time that exists.',
  ),
  invalid_schema_version: bad('The schema version does not have its format'),
  invalid_payload: bad('The payload is not what its event type asks'),
  event_too_large: bad('The event is too large'),
  event_in_future: later(400, 'The event is too far in the future'),
  event_too_old: bad('The event is older than what is still taken'),
  unknown_type: bad('The game does not know this event type'),
  type_not_allowed: bad('This key may not send this event type'),
  player_mismatch: bad("A session sends its own player's events only"),
  event_id_conflict: kind(409, 'An event with this id and other content was taken before'),

  // Who asks
  duplicate_header: bad('A header that may stand once stands twice'),
  invalid_idempotency_key: bad(
    'The Idempotency-Key does not have its format',
    '[A-Za-z0-9_.:-], 1 to 128 characters, or no header at all.',
  ),
  missing_signature: kind(401, 'The request is not signed'),
  invalid_signature: kind(401, 'The signature is not valid', RAW_BYTES),
  invalid_timestamp: kind(401, 'The X-Timestamp does not have its format', 'Unix seconds, ten digits.'),
  timestamp_out_of_tolerance: kind(
    401,
    'The X-Timestamp is too far from our time',
    'Correct the clock by serverTime, sign again.',
  ),
  scope_missing: kind(403, 'The key lacks the scope'),
  forbidden: kind(403, 'Not allowed'),
  sessions_unavailable: later(503, 'Sessions cannot be checked at the moment'),

  // People (the admin API)
  not_signed_in: kind(401, 'Nobody is signed in', 'Refresh the session, else sign in.'),
  sign_in_failed: kind(
    401,
    'Signing in failed',
    'The name or the password is wrong, or the user may not sign in.',
  ),
  refresh_reused: kind(401, 'The refresh token was used before', 'The session has ended: sign in again.'),
  not_same_origin: kind(
    403,
    'The request does not come from our own page',
    'Send X-Fairtally-Request: 1, from the same origin or from a program without cookies.',
  ),
  password_change_required: kind(
    403,
    'The first password must be changed',
    'Somebody else gave it: change it with PUT /admin/v1/auth/password.',
  ),
  issuer_unavailable: later(503, 'The OpenID Connect issuer cannot be reached'),
  member_exists: kind(409, 'This user has a role in this game already'),
  last_admin: kind(409, 'A game keeps one admin'),
  user_elsewhere: kind(409, 'This user is not administered in this game alone'),

  // What people decide (the admin API)
  case_decided: kind(409, 'The case has a verdict', 'Take the verdict back first.'),
  case_open: kind(409, 'The case has no verdict'),
  case_full: kind(409, 'The case has as many notes as it can have'),
  assignee_unfit: kind(409, 'This user may not judge cases of this game'),
  receipt_revoked: kind(409, 'The receipt is void already'),
  key_exists: kind(409, 'This key id is taken', 'Choose another, or leave it out.'),
  key_not_valid: kind(409, 'The key has ended', 'Nothing brings it back: create a new one.'),
  key_replaced: kind(409, 'The key has a successor', 'Rotate the successor, or create a new key.'),
  key_reserved: kind(
    409,
    'Such key ids are those of replays',
    'Choose one that does not begin with "replay-".',
  ),
  invalid_key: kind(422, 'Such a key cannot be made'),
  definition_invalid: kind(422, 'The definition is wrong', 'Its plan says where.'),
  definition_incompatible: kind(422, 'The definition would mix what is stored', 'Its plan says what.'),
  definition_in_the_past: kind(
    422,
    'A version cannot begin in the past',
    'Name an instant to come, or none.',
  ),
  definition_unchanged: kind(409, 'The version in force is the same'),
  definition_moved: kind(409, 'Somebody has applied a version since', 'Look at it, then plan again.'),
  nothing_selected: bad('Name which letters', 'Ids, or at least one of role, reason, player and time.'),
  nothing_taken: kind(409, 'No open letter was there to take', 'Somebody has decided since: look again.'),

  recording_too_long: kind(413, 'The recording has too many lines', 'Upload it in parts.'),
  recordings_full: kind(
    422,
    'The game keeps as many recordings as it can',
    'Delete one, or wait: they go 24 hours after their upload.',
  ),
  replay_running: kind(
    409,
    'A replay of this game is running',
    'One runs at a time: wait for its end, or cancel it.',
  ),
  replay_not_running: kind(409, 'The replay is not running'),
  replay_done: kind(409, 'The replay has come to its end'),
  replay_moved: kind(
    409,
    'A part of it was sent moved by another number of days',
    'Moved otherwise its events would be others: go on with the same number.',
  ),
  replay_ids_without_day: kind(
    409,
    'It has ids that carry no day',
    'Moved in time such events would be others each time (ids of UUIDv7 and ULID carry theirs): send it unmoved.',
  ),

  // Idempotency keys
  idempotency_key_reused: kind(409, 'The Idempotency-Key was used for another request'),
  request_in_progress: later(409, 'The first request with this Idempotency-Key is still running'),

  // Places and parameters
  not_found: kind(404, 'Not found'),
  method_not_allowed: kind(405, 'The method is not allowed here'),
  invalid_parameter: bad('A parameter does not have its format'),

  // Too much, and not now
  rate_limited: later(429, 'Too many requests'),
  overloaded: later(503, 'Too busy at the moment'),
  dependency_unavailable: later(503, 'A part of the service cannot be reached', 'Nothing was acknowledged.'),
  definition_unavailable: later(503, 'The game has no definition in force'),
  draining: later(503, 'The server is stopping'),
  storage_full: later(507, 'The storage is full'),
  internal_error: later(500, 'A fault of ours'),
} satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof PROBLEMS;

export const problemKind = (code: ProblemCode): ProblemKind => PROBLEMS[code];

export const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code);

/** What some problems add: where, what time it is here, which limits hold. */
export interface ProblemExtras {
  /** JSON Pointer (RFC 6901). */
  readonly pointer?: string;
  /** More exact than the detail of the code; never holds what was sent. */
  readonly detail?: string;
  /** Unix seconds. */
  readonly serverTime?: number;
  readonly limits?: Readonly<Record<string, number>>;
  /** The text that was signed as we see it; for keys marked debug alone. */
  readonly canonical?: string;
}

export interface Problem extends ProblemExtras {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly requestId: string;
  readonly retryable: boolean;
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** The body of an error answer. */
export function problemOf(code: ProblemCode, requestId: string, extras: ProblemExtras = {}): Problem {
  const { status, title, detail, retryable = false } = problemKind(code);
  const told = detail === undefined ? {} : { detail };
  return {
    type: `urn:fairtally:problem:${code}`,
    title,
    status,
    code,
    ...told,
    requestId,
    retryable,
    ...extras,
  };
}

const REQUEST_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** A request id that came with the request, if it is one we would repeat. */
export const acceptedRequestId = (header: string | readonly string[] | undefined): string | null =>
  typeof header === 'string' && REQUEST_ID.test(header) ? header : null;
