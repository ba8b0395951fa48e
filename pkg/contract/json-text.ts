/** Places in JSON text: what is found here is not visible in a parsed value. Runs only once a fault is known to be there. */

/** One step of a JSON Pointer (RFC 6901). */
export const pointerSegment = (key: string): string => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;

/** A longer pointer is not given: its keys are the sender's text and nothing has judged them. */
const POINTER_MAX = 512;

interface Frame {
  /** null for an array. */
  readonly keys: Set<string> | null;
  /** The key or index at which the reader stands. */
  at: string;
  index: number;
}

/**
 * Where the first duplicate key of a document stands; the document must be well-formed and have one.
 * Linear, with a stack of its own.
 */
export function duplicateKeyPointer(text: string): string {
  const stack: Frame[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const frame = stack.at(-1);
    const sign = text[i];
    if (sign === '{') stack.push({ keys: new Set(), at: '', index: 0 });
    else if (sign === '[') stack.push({ keys: null, at: '0', index: 0 });
    else if (sign === '}' || sign === ']') stack.pop();
    else if (sign === ',' && frame?.keys === null) frame.at = String((frame.index += 1));
    else if (sign === '"') {
      const end = stringEnd(text, i);
      if (frame?.keys && isKey(text, end)) {
        frame.at = JSON.parse(text.slice(i, end)) as string;
        if (frame.keys.has(frame.at)) return pointerOf(stack);
        frame.keys.add(frame.at);
      }
      i = end - 1;
    }
  }
  return '';
}

function pointerOf(stack: readonly Frame[]): string {
  const pointer = stack.map(({ at }) => pointerSegment(at)).join('');
  return pointer.length <= POINTER_MAX ? pointer : '';
}

/** The position after the closing quote of the string that opens at `start`. */
function stringEnd(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i + 1;
}

/** Whether the string that ended just before `position` is a key: white space, then a colon. */
function isKey(text: string, position: number): boolean {
  let i = position;
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i += 1;
  return text[i] === ':';
}
