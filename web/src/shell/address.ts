/**
 * A name as a part of an address. Whoever sends an address takes parts away that are `.` or `..`, encoded or not (RFC 3986 section
 * 5.2.4), so these two come with a comma before them; of any other name that is encoded.
 */
export const partOf = (name: string): string =>
  /^\.{1,2}$/.test(name) ? `,${name}` : encodeURIComponent(name);
