// The models, cuts and pictures of the rate–accuracy benchmark. No model runs here.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../src/errors.ts';
import { type Partition, partition } from '../src/model/index.ts';
import { type Labelled, loadDataset, packageRoot } from './datasets.ts';

export interface RdModel {
  name: string;
  /** In the data folder, or in this package when `own`. */
  file: string;
  own?: boolean;
  preprocess: 'imagenet' | 'symmetric' | 'own';
  cuts: readonly string[];
  pictures: 'imagenet' | 'imagenette';
}

export const RD_MODELS: readonly RdModel[] = [
  {
    name: 'neck10',
    file: 'training/neck10.onnx',
    own: true,
    preprocess: 'own',
    cuts: ['stem_b', 'neck0', 'neck1', 'neck2'],
    pictures: 'imagenette',
  },
  {
    name: 'squeezenet1.1',
    file: 'squeezenet1.1.onnx',
    preprocess: 'imagenet',
    cuts: [
      'squeezenet0_relu10_fwd',
      'squeezenet0_pool2_fwd',
      'squeezenet0_relu16_fwd',
      'squeezenet0_relu22_fwd',
    ],
    pictures: 'imagenet',
  },
  {
    name: 'mobilenetv2',
    file: 'mobilenetv2-1.0-224.onnx',
    preprocess: 'symmetric',
    cuts: ['add21', 'add36', 'add58'],
    pictures: 'imagenet',
  },
  {
    name: 'resnet50v2-stage3-imagenette10',
    file: 'resnet50v2-stage3-imagenette10.onnx',
    preprocess: 'imagenet',
    cuts: ['resnetv24_stage3_batchnorm0_fwd_relu', 'resnetv24_stage4_batchnorm0_fwd_relu'],
    pictures: 'imagenette',
  },
];

/** @throws IsthmusError OPTION_INVALID when the data folder lacks the model. */
export async function splitModel(model: RdModel, data: string): Promise<Partition> {
  const path = model.own ? join(packageRoot, model.file) : join(data, 'models', model.file);
  const bytes = await readFile(path).catch((cause) => {
    throw new IsthmusError('OPTION_INVALID', `There is no ${path}. Name a folder that has it with --data.`, {
      cause,
    });
  });
  const preprocess =
    model.preprocess === 'own'
      ? (JSON.parse(await readFile(join(packageRoot, 'training/preprocess.json'), 'utf8')) as object)
      : model.preprocess;
  return partition(bytes, { name: model.name, preprocess, cuts: model.cuts });
}

/** Labelled pictures for the measurement. */
export const testPictures = (model: RdModel, data: string, limit: number): Promise<Labelled[]> =>
  loadDataset(model.pictures, data, limit);

/** Folder of the labelled pictures, of which `isthmus calibrate` takes others than {@link testPictures}. */
export const pictureFolder = (model: RdModel, data: string) =>
  join(data, 'images', model.pictures === 'imagenette' ? 'imagenette-train-160' : 'imagenet-sample-500');
