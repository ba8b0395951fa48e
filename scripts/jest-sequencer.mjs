// Jest begins with the longest files it remembers, and a fresh clone remembers nothing: what takes a minute is named here, so
// that no worker begins with it when the others are done.
import Sequencer from '@jest/test-sequencer';

const LONG = [
  /\.sim\.test\.ts$/,
  /web\/e2e\/.*\.test\.ts$/,
  /testkit\/(all-in-one|crash|season)\.e2e\.test\.ts$/,
];

export default class LongestFirst extends Sequencer {
  async sort(tests) {
    const isLong = ({ path }) => LONG.some((pattern) => pattern.test(path));
    const sorted = await super.sort(tests);
    return [...sorted.filter(isLong), ...sorted.filter((test) => !isLong(test))];
  }
}
