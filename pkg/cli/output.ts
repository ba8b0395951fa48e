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

/** Control and format characters would speak to the terminal of whoever reads. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** As it may be shown: what is not text is shown as a mark. */
export const plain = (text: string): string => text.replace(UNSAFE, '\uFFFD');

/** One line of JSON that means the same, with everything escaped that is not text. */
export const jsonLine = (value: unknown): string =>
  JSON.stringify(value).replace(UNSAFE, (unsafe) =>
    [...Array(unsafe.length).keys()]
      .map((at) => `\\u${unsafe.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join(''),
  );
