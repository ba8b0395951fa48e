/** Where a command prints, so that tests can read it. */
export interface Output {
  /** One line. */
  line(text: string): void;
  /** Whether a person looks: progress bars make sense. */
  readonly isTerminal: boolean;
  readonly stream: NodeJS.WritableStream;
}

export const outputTo = (stream: NodeJS.WriteStream): Output => ({
  line: (text) => void stream.write(`${text}\n`),
  isTerminal: stream.isTTY,
  stream,
});
