import { expect, test } from '@jest/globals';
import { fuzz } from './run.js';
import { readAnswers } from './visit.js';

const REQUESTS = 5_000;

test('rows 1, 5, 6, 20 and 25: whatever is done to a request, it is answered below 500 and nothing is taken without a right signature', async () => {
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
    { status: 202, code: null },
    { status: 400, code: 'too_deep' },
  ]);
});
