import { readFileSync } from 'node:fs';

let known: string | null = null;

/** The version of this package, as dead letters and logs record it. The manifest stands two or three folders up (built or not). */
export function codeVersion(): string {
  known ??= readVersion(['../../package.json', '../../../package.json']);
  return known;
}

function readVersion(places: readonly string[]): string {
  for (const place of places) {
    try {
      const manifest = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as {
        name?: unknown;
        version?: unknown;
      };
      if (manifest.name === 'fairtally' && typeof manifest.version === 'string') return manifest.version;
    } catch {
      continue; // not at this place
    }
  }
  return 'unknown';
}
