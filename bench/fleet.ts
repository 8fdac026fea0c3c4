// The models a benchmark serves: the embedded one as it is, others from the data folder split into a scratch folder.
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IsthmusError } from '../src/errors.ts';
import { partition } from '../src/model/index.ts';
import { writeModelFolder } from '../src/model/node/modelFolder.ts';
import { type Dataset, packageRoot } from './datasets.ts';
import { ensureCalibrated } from './rdProfiles.ts';

export interface Served {
  name: string;
  dataset: Dataset;
}

export interface Fleet extends AsyncDisposable {
  folder: string;
  models: Served[];
}

const FROM_DATA = [
  { name: 'squeezenet1.1', file: 'squeezenet1.1.onnx', preprocess: 'imagenet' },
  { name: 'mobilenetv2', file: 'mobilenetv2-1.0-224.onnx', preprocess: 'symmetric' },
] as const;

const EMBEDDED = 'neck10';

/**
 * Puts the models into one folder a tail can serve. Dispose to remove it.
 *
 * @param profiles folder of calibrated model folders; a model that is missing there is calibrated there first
 */
export async function assembleFleet(data: string | undefined, profiles?: string): Promise<Fleet> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  const models: Served[] = [{ name: EMBEDDED, dataset: 'imagenette' }];
  await cp(join(packageRoot, 'models', EMBEDDED), join(folder, EMBEDDED), { recursive: true });
  for (const { name, file, preprocess } of data ? FROM_DATA : []) {
    const bytes = await readFile(join(data!, 'models', file)).catch((cause) => {
      throw new IsthmusError('OPTION_INVALID', `--data names a folder without models/${file}.`, { cause });
    });
    const names = JSON.parse(await readFile(join(data!, 'images', 'imagenet_classes.json'), 'utf8')) as {
      name: string;
    }[];
    const split = await partition(bytes, {
      name,
      preprocess,
      labels: names.map((c) => c.name),
    });
    if (profiles) {
      const calibrated = join(profiles, name);
      await ensureCalibrated(calibrated, split, join(data!, 'images', 'imagenet-sample-500'));
      await cp(calibrated, join(folder, name), { recursive: true });
    } else await writeModelFolder(join(folder, name), split);
    models.push({ name, dataset: 'imagenet' });
  }
  return { folder, models, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) };
}
