/** The key that a compact JWS says it is signed with (RFC 7515 section 4.1.4); null where it says none. Proves nothing by itself. */
export function keyOf(jws: string): string | null {
  try {
    const header = (jws.split('.')[0] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const { kid } = JSON.parse(atob(header)) as { readonly kid?: unknown };
    return typeof kid === 'string' ? kid : null;
  } catch {
    return null;
  }
}
