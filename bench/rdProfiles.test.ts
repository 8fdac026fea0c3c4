import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeModelFolder } from '../src/model/node/modelFolder.ts';
import { partitionModel } from '../src/model/partition.ts';
import { nodeShapeProbe as probe } from '../src/model/probeNode.ts';
import { tinyNet } from '../src/model/testGraphs.fixture.ts';
import { ensureCalibrated } from './rdProfiles.ts';

test('somebody’s split that is not calibrated yet is not replaced by that of a benchmark', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-profiles-'));
  try {
    const split = (cuts: string[], labels: string[]) =>
      partitionModel(tinyNet(), { name: 'tiny', probe, cuts, labels });
    const model = join(folder, 'tiny');
    await writeModelFolder(model, await split(['r1'], ['a', 'b', 'c', 'd', 'e']));
    const before = await readFile(join(model, 'manifest.json'), 'utf8');
    for (const cut of ['r2', 'r1']) {
      const other = await split([cut], ['v', 'w', 'x', 'y', 'z']);
      // With the same chain it is calibrated as it is, which fails later: this model takes no pictures.
      const reason = cut === 'r1' ? 'takes no pictures' : '--profiles';
      await expect(ensureCalibrated(model, other, folder)).rejects.toMatchObject({
        code: 'OPTION_INVALID',
        message: expect.stringContaining(reason) as string,
      });
      expect(await readFile(join(model, 'manifest.json'), 'utf8')).toBe(before);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
