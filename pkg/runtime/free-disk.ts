import { statfs } from 'node:fs/promises';

/** Bytes of the file system below `folder` that one who is not root may still use. Rejects when it cannot be asked. */
export async function freeDiskBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
