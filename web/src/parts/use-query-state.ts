import { useSearchParams } from 'wouter';

/** What is chosen on a page, kept in its address, so that a link shows the same to somebody else. Absent: undefined. */
export function useQueryState<Name extends string>(
  names: readonly Name[],
): readonly [
  Readonly<Partial<Record<Name, string>>>,
  (change: Readonly<Partial<Record<Name, string | undefined>>>) => void,
] {
  const [parameters, setParameters] = useSearchParams();
  const state: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = parameters.get(name);
    if (value !== null) state[name] = value;
  }
  const change = (changes: Readonly<Partial<Record<Name, string | undefined>>>) =>
    setParameters(
      (before) => {
        const after = new URLSearchParams(before);
        for (const [name, value] of Object.entries<string | undefined>(changes)) {
          if (value === undefined || value === '') after.delete(name);
          else after.set(name, value);
        }
        return after;
      },
      { replace: true },
    );
  return [state, change];
}
