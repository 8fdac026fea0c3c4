import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { labelledPictures } from './pictures.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-pictures-'));
});
afterEach(() => rm(folder, { recursive: true }));

const all = { calibration: 1000, test: 1000 };

describe('labelledPictures', () => {
  it('takes one sub-folder per class, every tenth picture for the test', async () => {
    for (const name of ['b', 'a']) {
      await mkdir(join(folder, name));
      for (let i = 0; i < 20; i++)
        await writeFile(join(folder, name, `${String(i).padStart(2, '0')}.png`), '');
    }
    const { calibration, test } = await labelledPictures(folder, all);
    expect(test).toEqual([
      { path: join(folder, 'a', '00.png'), label: 0 },
      { path: join(folder, 'b', '00.png'), label: 1 },
      { path: join(folder, 'a', '10.png'), label: 0 },
      { path: join(folder, 'b', '10.png'), label: 1 },
    ]);
    expect(calibration).toHaveLength(36);
    expect(new Set([...calibration, ...test].map((p) => p.path)).size).toBe(40);
    const few = await labelledPictures(folder, { calibration: 4, test: 1 });
    expect(few.calibration.map((p) => p.label).sort()).toEqual([0, 0, 0, 0].map((_, i) => (i < 2 ? 0 : 1)));
  });

  it('takes labels.json, two of five for calibration', async () => {
    const labels = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}.jpg`, 100 + i]));
    await writeFile(join(folder, 'labels.json'), JSON.stringify(labels));
    const { calibration, test } = await labelledPictures(folder, all);
    expect(calibration.map((p) => p.label - 100)).toEqual([0, 1, 5, 6, 10, 11, 15, 16]);
    expect(test).toHaveLength(12);
  });

  it.each([
    ['{"a.png": "cat"}', 'no class index'],
    ['{', 'no JSON'],
    ['{}', 'only 0 pictures'],
  ])('refuses labels.json %s', async (text, reason) => {
    await writeFile(join(folder, 'labels.json'), text);
    await expect(labelledPictures(folder, all)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining(reason) as string,
    });
  });

  it('refuses a folder that is not there', async () => {
    await expect(labelledPictures(join(folder, 'none'), all)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    });
  });
});
