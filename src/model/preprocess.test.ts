import { describe, expect, it } from 'vitest';
import type { TensorInfo } from './manifest.ts';
import { preprocessFor } from './preprocess.ts';

const tensor = (
  name: string,
  shape: (number | string)[],
  dtype: TensorInfo['dtype'] = 'float32',
): TensorInfo => ({
  name,
  dtype,
  shape,
});
const scores = [tensor('scores', ['N', 1000])];

describe('preprocessFor', () => {
  it.each<[string, (number | string)[], (number | string)[], object, [number, number], string]>([
    ['a classifier', ['N', 3, 224, 224], ['N', 1000], { short: 256 }, [224, 224], 'NCHW'],
    ['a small classifier', [1, 3, 128, 128], [1, 10], { short: 146 }, [128, 128], 'NCHW'],
    ['channels last', ['N', 299, 299, 3], ['N', 1000, 1, 1], { short: 342 }, [299, 299], 'NHWC'],
    ['thumbnails', ['N', 3, 32, 32], ['N', 10], { exact: [32, 32] }, [32, 32], 'NCHW'],
    ['an input that is not square', [1, 3, 240, 320], [1, 4420], { exact: [320, 240] }, [320, 240], 'NCHW'],
    ['segmentation', ['N', 3, 257, 257], [1, 21, 257, 257], { exact: [257, 257] }, [257, 257], 'NCHW'],
  ])('fits %s', (_, input, output, resize, crop, layout) => {
    const found = preprocessFor('imagenet', [tensor('x', input)], [tensor('y', output)]);
    expect(found).toMatchObject({ kind: 'image', input: 'x', resize, crop, layout, channels: 'RGB' });
    expect(found.mean).toEqual([0.485, 0.456, 0.406]);
  });

  it('maps to [-1, 1] with `symmetric`', () => {
    const found = preprocessFor('symmetric', [tensor('x', ['N', 3, 224, 224])], scores);
    expect([found.mean, found.std]).toEqual([
      [0.5, 0.5, 0.5],
      [0.5, 0.5, 0.5],
    ]);
  });

  it('finds the picture among other inputs', () => {
    const inputs = [tensor('size', [1, 2]), tensor('photo', [1, 3, 64, 64])];
    expect(preprocessFor('imagenet', inputs, scores).input).toBe('photo');
  });

  const entry = {
    resize: { exact: [64, 48] },
    crop: [64, 48],
    mean: [0, 0, 0],
    std: [1, 1, 1],
    layout: 'NCHW',
    channels: 'BGR',
  };
  it('takes an entry as it is, and finds its input', () => {
    const found = preprocessFor(entry, [tensor('x', [1, 3, 48, 64])], scores);
    expect(found).toEqual({ ...entry, kind: 'image', input: 'x' });
  });

  it.each<[string, object | string, TensorInfo[], RegExp]>([
    [
      'an unknown recipe',
      'caffe',
      [tensor('x', [1, 3, 8, 8])],
      /no recipe 'caffe'; there are imagenet, symmetric/,
    ],
    [
      'a model of tensors',
      'imagenet',
      [tensor('ids', [1, 128], 'int64')],
      /no input is a float32 picture.*'ids' int64/,
    ],
    ['one channel', 'imagenet', [tensor('x', [1, 1, 28, 28])], /no input is a float32 picture/],
    ['a wrong crop', entry, [tensor('x', [1, 3, 64, 48])], /do not fill the input 'x'/],
    ['a wrong layout', { ...entry, layout: 'NHWC' }, [tensor('x', [1, 3, 48, 64])], /do not fill/],
    ['no crop', {}, [tensor('x', [1, 3, 48, 64])], /do not fill/],
    ['another input', { ...entry, input: 'z' }, [tensor('x', [1, 3, 48, 64])], /no input 'z'; it has x/],
  ])('refuses %s', (_, wanted, inputs, message) => {
    const attempt = () => preprocessFor(wanted as object, inputs, scores);
    expect(attempt).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
    expect(attempt).toThrow(message);
  });
});
