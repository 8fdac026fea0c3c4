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

const all = { fit: 1000, trial: 1000, test: 1000 };

describe('labelledPictures', () => {
  it('takes one sub-folder per class, of every third tenth picture for trials, of the other tenth for the test', async () => {
    for (const name of ['b', 'a']) {
      await mkdir(join(folder, name));
      for (let i = 0; i < 30; i++)
        await writeFile(join(folder, name, `${String(i).padStart(2, '0')}.png`), '');
    }
    const { fit, trial, test } = await labelledPictures(folder, all);
    expect(trial).toEqual([
      { path: join(folder, 'a', '10.png'), label: 0 },
      { path: join(folder, 'b', '10.png'), label: 1 },
    ]);
    expect(test).toEqual([
      { path: join(folder, 'a', '00.png'), label: 0 },
      { path: join(folder, 'b', '00.png'), label: 1 },
      { path: join(folder, 'a', '20.png'), label: 0 },
      { path: join(folder, 'b', '20.png'), label: 1 },
    ]);
    expect(fit).toHaveLength(54);
    expect(new Set([...fit, ...trial, ...test].map((p) => p.path)).size).toBe(60);
    const few = await labelledPictures(folder, { fit: 4, trial: 1, test: 1 });
    expect(few.fit.map((p) => p.label).sort()).toEqual([0, 0, 1, 1]);
  });

  it('takes labels.json, of every five one to fit to and one for trials', async () => {
    const labels = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}.jpg`, 100 + i]));
    await writeFile(join(folder, 'labels.json'), JSON.stringify(labels));
    const { fit, trial, test } = await labelledPictures(folder, all);
    expect(fit.map((p) => p.label - 100)).toEqual([0, 5, 10, 15]);
    expect(trial.map((p) => p.label - 100)).toEqual([1, 6, 11, 16]);
    expect(test).toHaveLength(12);
  });

  it.each([
    ['{"a.png": "cat"}', 'no class index'],
    ['{', 'no JSON'],
    ['{}', 'only 0 pictures'],
    ['null', 'no object'],
    ['["a.png"]', 'no object'],
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
