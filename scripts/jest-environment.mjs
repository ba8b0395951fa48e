// Jest's environment keeps its globals behind a proxy: there each `Math` or `Buffer` is a call, and code that works hard
// takes several times as long as in Node itself. The context that Jest makes is a plain one here.
import vm from 'node:vm';
import { TestEnvironment } from 'jest-environment-node';

export default class PlainEnvironment extends TestEnvironment {
  constructor(config, context) {
    const { createContext } = vm;
    vm.createContext = () => createContext(vm.constants.DONT_CONTEXTIFY);
    try {
      super(config, context);
    } finally {
      vm.createContext = createContext;
    }
  }
}
