import { useLocation } from 'wouter';

const PLACE_OF_THING = 4;

/**
 * What the address names below a place of a game: the player of `/g/demo/players/ada`, undefined where it names none. The router
 * decodes a part of the characters alone (`decodeURI`), and players may be called `a/b` or `50%`: this reads the address itself.
 */
export function useThing(): string | undefined {
  useLocation();
  return thingOf(window.location.pathname);
}

export function thingOf(pathname: string): string | undefined {
  const written = pathname.split('/')[PLACE_OF_THING];
  if (written === undefined || written === '') return undefined;
  if (written === ',.' || written === ',..') return written.slice(1);
  try {
    return decodeURIComponent(written);
  } catch {
    // Typed by hand: what cannot be decoded is taken as it stands.
    return written;
  }
}
