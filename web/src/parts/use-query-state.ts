import { useLocation, useSearch } from 'wouter';

/** What is chosen on a page, kept in its address, so that a link shows the same to somebody else. Absent: undefined. */
export function useQueryState<Name extends string>(
  names: readonly Name[],
): readonly [
  Readonly<Partial<Record<Name, string>>>,
  (change: Readonly<Partial<Record<Name, string | undefined>>>) => void,
] {
  useSearch();
  const [, navigate] = useLocation();
  // The router decodes a query before its parts are told apart: a player called `a%26b` would be two of them.
  const parameters = new URLSearchParams(window.location.search);
  const state: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = parameters.get(name);
    if (value !== null) state[name] = value;
  }
  const change = (changes: Readonly<Partial<Record<Name, string | undefined>>>) => {
    const after = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries<string | undefined>(changes)) {
      if (value === undefined || value === '') after.delete(name);
      else after.set(name, value);
    }
    navigate(`${window.location.pathname}${after.size === 0 ? '' : `?${after.toString()}`}`, {
      replace: true,
    });
  };
  return [state, change];
}
