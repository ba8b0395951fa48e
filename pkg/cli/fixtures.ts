import { PassThrough } from 'node:stream';
import type { Output } from './output.js';

/** Keeps what a command prints. */
export function outputForTest(): Output & { readonly lines: string[]; readonly text: () => string } {
  const lines: string[] = [];
  return {
    lines,
    text: () => lines.join('\n'),
    line: (text) => void lines.push(text),
    isTerminal: false,
    stream: new PassThrough(),
  };
}
