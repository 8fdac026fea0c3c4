// ExternalFiles on disk: weights that lie beside a model. Node only; used by the command line.
import { readFile, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { ExternalFiles } from '../externalData.ts';

/** Reads files below `folder`; links that lead out of it count as absent. */
export function externalFiles(folder: string): ExternalFiles {
  return async (location) => {
    try {
      const root = await realpath(folder);
      const file = await realpath(join(root, location));
      if (!file.startsWith(root.endsWith(sep) ? root : root + sep)) return undefined;
      return await readFile(file);
    } catch {
      return undefined; // the caller names the missing file
    }
  };
}
