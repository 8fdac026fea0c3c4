// Before every test file in Node (vitest.config.ts): a folder of its own for temporary files and for the cache of models,
// removed after it. No test sees what the user keeps, or leaves anything behind.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

const before = { ...process.env };
const folder = await mkdtemp(join(tmpdir(), 'isthmus-test-'));
for (const name of ['TMPDIR', 'TMP', 'TEMP']) process.env[name] = folder;
process.env.ISTHMUS_CACHE = join(folder, 'cache');

afterAll(async () => {
  for (const name of ['TMPDIR', 'TMP', 'TEMP', 'ISTHMUS_CACHE']) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});
