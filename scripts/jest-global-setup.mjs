// Jest loads this file outside its own module system, so TypeScript is read through tsx here.
import { tsImport } from 'tsx/esm/api';

export default async function setup() {
  const { startTestServers } = await tsImport('../pkg/testkit/test-servers.ts', import.meta.url);
  globalThis.testServers = await startTestServers();
}
