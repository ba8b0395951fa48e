import { FairtallyError } from '../../kernel/errors.js';

/** A place in the document: a path such as `boards.xp.value` (empty: the document), line and column from 1. */
export interface Place {
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

/** One thing wrong with a game definition, with what to do about it. */
export interface DefinitionFault extends Place {
  readonly message: string;
}

const MAX_FAULTS = 100;

/** Collects what is wrong, so that an author sees everything at once; stops counting at 100. */
export class FaultList {
  private readonly faults: DefinitionFault[] = [];

  add(place: Place, message: string): void {
    if (this.faults.length < MAX_FAULTS) {
      this.faults.push({ path: place.path, line: place.line, column: place.column, message });
    }
  }

  get isEmpty(): boolean {
    return this.faults.length === 0;
  }

  /** In the order of the document. */
  inOrder(): readonly DefinitionFault[] {
    return [...this.faults].sort((a, b) => a.line - b.line || a.column - b.column);
  }
}

/** A game definition that cannot be used. The message has one line per fault: `demo.yaml:41:7 boards.xp.value: ...`. */
export class DefinitionError extends FairtallyError {
  override readonly name = 'DefinitionError';
  constructor(
    readonly fileName: string,
    readonly faults: readonly DefinitionFault[],
  ) {
    super('definition_invalid', faults.map((fault) => describeFault(fileName, fault)).join('\n'));
  }
}

const describeFault = (fileName: string, { path, line, column, message }: DefinitionFault): string =>
  `${fileName}:${String(line)}:${String(column)} ${path === '' ? 'the document' : path}: ${message}`;
