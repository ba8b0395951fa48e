import { firstByte } from '../contract/strict-json.js';

/** The beginning of what was sent, for people who look for what is wrong with it. */

/** UTF-8 bytes of a snippet; what is longer ends in `…`. */
export const SNIPPET_MAX_BYTES = 2_048;

const LOOKS_SECRET =
  /secret|passw|token|signature|authori[sz]ation|credential|cookie|api_?-?key|private_?-?key/i;
const HIDDEN = '"***"';

/** Of a value: as JSON, with what looks like a secret by its name hidden. Costs what the snippet holds, not what was sent. */
export function snippetOf(value: unknown): string {
  const writer = new SnippetWriter();
  writer.write(value);
  return cut(writer.text);
}

/**
 * Of bytes that are no sound JSON, or were not read as such. What stands behind a key that looks like one of a secret is
 * hidden as well as can be told.
 */
export function snippetOfBytes(bytes: Buffer, start = 0, end = bytes.length): string {
  const first = firstByte(bytes, start, end);
  const text = wholeCharacters(bytes.subarray(first, Math.min(end, first + SNIPPET_MAX_BYTES + 1)));
  return cut(hideSecrets(text));
}

const KEY = /"([^"\\]{1,128})"\s{0,16}:\s{0,16}/g;
/** An object or an array reaches to the end of the text: nobody counts its brackets here. */
const VALUE = /"(?:[^"\\]|\\.)*"?|[{[][^]*|[^\s,}\]]*/y;

function hideSecrets(text: string): string {
  let shown = '';
  let from = 0;
  for (const { 0: member, 1: key = '', index } of text.matchAll(KEY)) {
    if (index < from || !LOOKS_SECRET.test(key)) continue;
    VALUE.lastIndex = index + member.length;
    shown += `${text.slice(from, VALUE.lastIndex)}${HIDDEN}`;
    from = VALUE.lastIndex + (VALUE.exec(text)?.[0].length ?? 0);
  }
  return shown + text.slice(from);
}

function cut(text: string): string {
  const bytes = Buffer.from(text);
  return bytes.length <= SNIPPET_MAX_BYTES
    ? bytes.toString()
    : `${wholeCharacters(bytes.subarray(0, SNIPPET_MAX_BYTES - 3))}…`;
}

/** Without the beginning of a character at the end; bytes that are no UTF-8 become U+FFFD. */
const wholeCharacters = (bytes: Buffer): string =>
  new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes, { stream: true });

/** JSON.stringify that stops when there is enough. */
class SnippetWriter {
  text = '';

  write(value: unknown): void {
    if (this.#isEnough()) return;
    if (Array.isArray(value)) this.#writeArray(value);
    else if (typeof value === 'object' && value !== null)
      this.#writeObject(value as Readonly<Record<string, unknown>>);
    else if (typeof value === 'string') this.text += JSON.stringify(value.slice(0, SNIPPET_MAX_BYTES + 1));
    else this.text += JSON.stringify(value);
  }

  #writeArray(values: readonly unknown[]): void {
    this.text += '[';
    for (const [index, value] of values.entries()) {
      if (this.#isEnough()) return;
      if (index > 0) this.text += ',';
      this.write(value);
    }
    this.text += ']';
  }

  #writeObject(members: Readonly<Record<string, unknown>>): void {
    let comma = '';
    this.text += '{';
    for (const key in members) {
      if (this.#isEnough()) return;
      this.text += `${comma}${JSON.stringify(key)}:`;
      comma = ',';
      if (LOOKS_SECRET.test(key)) this.text += HIDDEN;
      else this.write(members[key]);
    }
    this.text += '}';
  }

  #isEnough(): boolean {
    return this.text.length > SNIPPET_MAX_BYTES;
  }
}
