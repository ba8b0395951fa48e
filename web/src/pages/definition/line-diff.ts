export interface DiffLine {
  readonly kind: 'same' | 'removed' | 'added';
  readonly text: string;
  /** Number of the line in the old text, from 1; null where it is not in it. */
  readonly before: number | null;
  /** Number of the line in the new text, from 1; null where it is not in it. */
  readonly after: number | null;
}

/** Cells of the table that tells what two texts share; what differs beyond it is shown as all removed and all added. */
const CELLS_MAX = 4_000_000;

/**
 * What was removed from one text and added to get the other, by lines: a longest common subsequence of what lies between the lines
 * that begin and end both.
 */
export function diffLines(oldText: string, newText: string): readonly DiffLine[] {
  const old = linesOf(oldText);
  const now = linesOf(newText);
  const shorter = Math.min(old.length, now.length);
  let head = 0;
  while (head < shorter && old[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const kinds = [
    ...Array<Kind>(head).fill('same'),
    ...between(old.slice(head, old.length - tail), now.slice(head, now.length - tail)),
    ...Array<Kind>(tail).fill('same'),
  ];
  return numbered(kinds, old, now);
}

type Kind = DiffLine['kind'];

const linesOf = (text: string): string[] => {
  const lines = text.split('\n');
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
};

function between(old: readonly string[], now: readonly string[]): Kind[] {
  const width = now.length + 1;
  if ((old.length + 1) * width > CELLS_MAX)
    return [...Array<Kind>(old.length).fill('removed'), ...Array<Kind>(now.length).fill('added')];
  // shared[i * width + j]: how many lines old[i..] and now[j..] have in common at most.
  const shared = new Uint32Array((old.length + 1) * width);
  const at = (i: number, j: number): number => shared[i * width + j] ?? 0;
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      shared[i * width + j] = old[i] === now[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const kinds: Kind[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      kinds.push('same');
      i += 1;
      j += 1;
    } else if (i < old.length && (j === now.length || at(i + 1, j) >= at(i, j + 1))) {
      kinds.push('removed');
      i += 1;
    } else {
      kinds.push('added');
      j += 1;
    }
  }
  return kinds;
}

function numbered(kinds: readonly Kind[], old: readonly string[], now: readonly string[]): DiffLine[] {
  let before = 0;
  let after = 0;
  return kinds.map((kind) => {
    if (kind !== 'added') before += 1;
    if (kind !== 'removed') after += 1;
    return {
      kind,
      text: (kind === 'removed' ? old[before - 1] : now[after - 1]) ?? '',
      before: kind === 'added' ? null : before,
      after: kind === 'removed' ? null : after,
    };
  });
}

/** Lines that differ with some around them; `null` where lines that are the same were left out. */
export function hunksOf(lines: readonly DiffLine[], around = 3): readonly (DiffLine | null)[] {
  const isNear = lines.map((_, index) =>
    lines.slice(Math.max(0, index - around), index + around + 1).some(({ kind }) => kind !== 'same'),
  );
  const shown: (DiffLine | null)[] = [];
  for (const [index, line] of lines.entries()) {
    if (isNear[index] === true) shown.push(line);
    else if (shown.at(-1) !== null) shown.push(null);
  }
  return shown;
}
