// Where models lie: the folders below a folder of models, in the order of versions, and a cheap signature that tells
// whether anything in one has changed. It reads names, sizes and times, never content.
import { readdir, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { IsthmusError } from '../../errors.ts';

export interface ModelFolder {
  path: string;
  /** Path below the folder of models, with '/': `neck10`, `neck10@2`, `neck10/2`. */
  version: string;
  /** Differs whenever a file came, went, grew or was written. */
  signature: string;
}

export interface FoundFolders {
  /** In the order of versions. */
  folders: ModelFolder[];
  /** Every folder in which a model may appear, change or go. */
  looked: string[];
}

const natural = new Intl.Collator('en', { numeric: true });

/** Both ways of writing a version count alike. */
const sortKey = ({ version }: { version: string }) => version.replaceAll('/', '@');

/** The order of versions, the last one of a name is its default: `neck10`, `neck10@2`, `neck10/3`, `neck10@10`. */
export const byVersion = (a: { version: string }, b: { version: string }): number =>
  natural.compare(sortKey(a), sortKey(b)) || (a.version < b.version ? -1 : 1);

/**
 * Model folders (they hold manifest.json) in `dir` and one level below, or `dir` itself when it is one. Names that begin
 * with a dot are no models: `isthmus split` keeps there what it has in hand.
 *
 * @throws IsthmusError OPTION_INVALID when there is no such folder
 */
export async function modelFolders(dir: string): Promise<FoundFolders> {
  const own = await signatureOf(dir);
  if (own !== undefined) {
    return { folders: [{ path: dir, version: basename(dir), signature: own }], looked: [dir] };
  }
  const entries = await readdir(dir).catch((cause: unknown) => {
    const what = `The models folder '${dir}' cannot be read. Name a folder that exists.`;
    throw new IsthmusError('OPTION_INVALID', what, { cause });
  });
  const folders: ModelFolder[] = [];
  const looked = [dir];
  const look = async (path: string): Promise<void> => {
    const signature = await signatureOf(path);
    const version = relative(dir, path).replaceAll('\\', '/');
    if (signature !== undefined) folders.push({ path, version, signature });
  };
  for (const entry of entries.filter(visible)) {
    const path = join(dir, entry);
    await look(path);
    const inner = await readdir(path, { withFileTypes: true }).catch(() => undefined); // a file, or gone meanwhile
    if (!inner) continue;
    looked.push(path);
    for (const { name } of inner.filter((found) => !found.isFile() && visible(found.name))) {
      looked.push(join(path, name));
      await look(join(path, name));
    }
  }
  return { folders: folders.sort(byVersion), looked };
}

const visible = (name: string) => !name.startsWith('.');

/** Undefined for what is no model folder. */
async function signatureOf(folder: string): Promise<string | undefined> {
  const names: string[] = await readdir(folder).catch(() => []);
  if (!names.includes('manifest.json')) return undefined;
  const lines = await Promise.all(
    names.sort().map(async (name) => {
      const found = await stat(join(folder, name), { bigint: true }).catch(() => undefined);
      if (name === 'manifest.json' && !found?.isFile()) return '';
      return found ? `${name} ${found.size} ${found.mtimeNs} ${found.ctimeNs} ${found.ino}` : name;
    }),
  );
  return lines.includes('') ? undefined : lines.join('\n');
}
