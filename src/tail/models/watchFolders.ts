// Watches a few folders and says, once things are quiet again, that something happened. Systems that tell of no changes (network
// drives, some containers) are covered by looking now and then. It does not say what happened.
import { type FSWatcher, statSync, watch } from 'node:fs';

export interface Watching {
  /** The folders to watch from now on; not what lies deeper. */
  follow(folders: readonly string[]): void;
  close(): void;
}

export function watchFolders(
  onChange: () => void,
  {
    debounceMs = 300,
    pollMs = 10_000,
  }: { debounceMs?: number | undefined; pollMs?: number | undefined } = {},
): Watching {
  const watchers = new Map<string, { watcher: FSWatcher; inode: bigint }>();
  let quiet: NodeJS.Timeout | undefined;
  const poll = setInterval(onChange, pollMs);
  poll.unref();

  function changed(): void {
    clearTimeout(quiet);
    quiet = setTimeout(onChange, debounceMs);
    quiet.unref();
  }

  function drop(folder: string): void {
    watchers.get(folder)?.watcher.close();
    watchers.delete(folder);
  }

  function observe(folder: string): void {
    try {
      // What is watched is the folder, not its name: one that was exchanged for another must be watched anew.
      const inode = statSync(folder, { bigint: true }).ino;
      if (watchers.get(folder)?.inode === inode) return;
      drop(folder);
      const watcher = watch(folder, { persistent: false }, changed);
      watcher.on('error', () => {
        drop(folder);
        changed();
      });
      watchers.set(folder, { watcher, inode });
    } catch {
      drop(folder); // gone again, or too many watches: the poll will see
    }
  }

  return {
    follow(folders) {
      const wanted = new Set(folders);
      for (const folder of [...watchers.keys()]) if (!wanted.has(folder)) drop(folder);
      for (const folder of wanted) observe(folder);
    },
    close() {
      clearInterval(poll);
      clearTimeout(quiet);
      for (const folder of [...watchers.keys()]) drop(folder);
    },
  };
}
