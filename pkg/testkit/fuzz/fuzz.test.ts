import { expect, test } from '@jest/globals';
import { isShed, isTooMuchShed } from './shed.js';
import { fuzz } from './run.js';
import { readAnswers } from './visit.js';

const REQUESTS = 5_000;

test('rows 1, 5, 6, 20 and 25: whatever is done to a request, it is answered below 500, or shed by a machine that is slow, and nothing is taken without a right signature', async () => {
  const { requests, answers, published, faults } = await fuzz({ seed: 20_261_120, requests: REQUESTS });
  expect(faults).toEqual([]);
  expect(requests).toBeGreaterThanOrEqual(REQUESTS);
  expect(published).toBeGreaterThan(0);
  const most = [
    '202',
    '401 invalid_signature',
    '400 malformed_json',
    '415 unsupported_encoding',
    '413 body_too_large',
  ];
  expect([...answers.keys()]).toEqual(expect.arrayContaining(most));
});

test('several answers on one connection are told apart, interim ones left out', () => {
  const text =
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\n\r\n{}HTTP/1.1 400 Bad Request\r\n\r\n{"code":"too_deep"}';
  expect(readAnswers(text)).toEqual([
    { status: 202, code: null, isToRetry: false },
    { status: 400, code: 'too_deep', isToRetry: false },
  ]);
});

test('a request that is shed is told apart: with a problem and a time to come again, and nothing else above 500 is', () => {
  const of = (head: string, body = '{"code":"overloaded"}'): boolean[] =>
    readAnswers(`HTTP/1.1 ${head}\r\n\r\n${body}`).map(isShed);
  expect(of('503 Service Unavailable\r\nRetry-After: 1')).toEqual([true]);
  expect(of('507 Insufficient Storage\r\nRetry-After: 30')).toEqual([true]);
  expect(of('503 Service Unavailable')).toEqual([false]);
  expect(of('503 Service Unavailable\r\nRetry-After: 1', 'upstream')).toEqual([false]);
  expect(of('500 Internal Server Error\r\nRetry-After: 1')).toEqual([false]);
});

test('a run of which more than a small share was shed proves too little', () => {
  expect(isTooMuchShed(0, 100)).toBe(false);
  expect(isTooMuchShed(250, 5_000)).toBe(false);
  expect(isTooMuchShed(251, 5_000)).toBe(true);
});
