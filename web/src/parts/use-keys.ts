import { useHotkeys } from '@mantine/hooks';

const OWN_KEYS =
  'textarea, select, [contenteditable="true"], [role="dialog"], [role="listbox"], input:not([type="radio"]):not([type="checkbox"])';

/** Whether a key means something where it was pressed: text is being typed, or a question is open. */
const isTakenBy = (target: EventTarget | null): boolean =>
  target instanceof Element && target.closest(OWN_KEYS) !== null;

/** Single keys that act on the whole page, but never while somebody types. */
export function useKeys(keys: Readonly<Record<string, () => void>>): void {
  useHotkeys(
    Object.entries(keys).map(([key, act]) => [
      key,
      (event) => {
        if (!isTakenBy(event.target)) act();
      },
      { preventDefault: false },
    ]),
    [],
  );
}
