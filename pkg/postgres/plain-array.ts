/**
 * An array as a statement's parameter, for elements whose text needs no quotes: numbers, dates, uuids, hex digits. The driver
 * would look through each of them for what must be escaped, which is a good part of what a batch costs.
 */
export const plainArray = (elements: readonly (number | string)[]): string => `{${elements.join(',')}}`;
