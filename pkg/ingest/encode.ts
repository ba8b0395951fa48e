import { quoted } from '../contract/canonical-json.js';
import type { AdmittedEvent } from '../contract/event.js';
import type { EventResult } from './event-result.js';

/**
 * The body that a bus carries: what encodeEvent writes, with the payload's text given, because it was made for the content
 * hash already. Written by hand because it runs for every event and JSON.stringify takes four times as long; the fields not
 * quoted here have alphabets without anything to escape.
 */
export function encodeAdmitted(event: AdmittedEvent, payloadText: string): string {
  const { schemaVersion, context } = event;
  const optional =
    (schemaVersion === undefined ? '' : `,"schemaVersion":${String(schemaVersion)}`) +
    (context === undefined ? '' : `,"context":${JSON.stringify(context)}`);
  return (
    `{"v":1,"gameId":${quoted(event.gameId)},"playerId":${quoted(event.playerId)},"id":"${event.id}","type":"${event.type}",` +
    `"tsMs":${String(event.tsMs)},"payload":${payloadText},"identity":"${event.identity}",` +
    `"dedupeDay":"${event.dedupeDay}","contentHash":"${event.contentHash}",` +
    `"receivedAtMs":${String(event.receivedAtMs)},"src":"${event.src}","keyId":"${event.keyId}",` +
    `"definitionVersion":${String(event.definitionVersion)},"mapped":${String(event.mapped)}${optional}}`
  );
}

export interface Counts {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
}

/** The body of a 202: `{accepted, duplicates, rejected, results}`. By hand for the same reason. */
export function encodeAnswer(counts: Counts, results: readonly EventResult[]): string {
  const { accepted, duplicates, rejected } = counts;
  let text = `{"accepted":${String(accepted)},"duplicates":${String(duplicates)},"rejected":${String(rejected)},"results":[`;
  for (let i = 0; i < results.length; i += 1)
    text += (i === 0 ? '' : ',') + resultText(results[i] as EventResult);
  return `${text}]}`;
}

const resultText = (result: EventResult): string =>
  result.status === 'rejected'
    ? JSON.stringify(result)
    : `{"index":${String(result.index)},"status":"${result.status}","eventId":"${result.eventId}"}`;
