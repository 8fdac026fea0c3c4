// What parseManifest refuses beyond the schema: chains whose parts tell different stories, under an id that fits.
import { describe, expect, it } from 'vitest';
import { type Manifest, manifestId, parseManifest } from './manifest.ts';
import { partitionModel } from './partition.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';
import { tinyNet } from './testGraphs.fixture.ts';

const preprocess = {
  resize: { short: 18 },
  crop: [16, 16],
  mean: [0, 0, 0],
  std: [1, 1, 1],
  layout: 'NCHW',
  channels: 'RGB',
};
const labels = ['a', 'b', 'c', 'd', 'e'];
const { manifest } = await partitionModel(tinyNet(), {
  name: 'tiny',
  probe,
  cuts: ['r1', 'gap'],
  preprocess,
  labels,
});

/** A changed copy whose id fits its content, as someone who makes manifests by other means would write it. */
async function changed(change: (m: Manifest) => void): Promise<Manifest> {
  const copy = structuredClone(manifest);
  change(copy);
  return { ...copy, id: await manifestId(copy) };
}

describe('parseManifest', () => {
  it('takes what isthmus split writes, over JSON too', async () => {
    expect(await parseManifest(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest);
  });

  it('takes profiles and figures of a calibration, which leave the id alone, and refuses paths', async () => {
    const profile = { file: 'r1.ispr', sha256: 'a'.repeat(64), bytes: 900 };
    const calibrated = structuredClone(manifest);
    Object.assign(calibrated.cuts[0]!, { profile, calibration: { isthmus: { images: 300, bytes: 812.5 } } });
    expect(await manifestId(calibrated)).toBe(manifest.id);
    expect(await parseManifest(JSON.parse(JSON.stringify(calibrated)))).toEqual(calibrated);
    calibrated.cuts[0]!.profile = { ...profile, file: '../r1.ispr' };
    await expect(parseManifest(calibrated)).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringContaining('cuts.0.profile.file') as string,
    });
  });

  const other = { name: 'other', dtype: 'float32' as const, shape: [1, 4] };
  it.each<[string, (m: Manifest) => void, RegExp]>([
    [
      'a segment that gives another tensor than its cut',
      (m) => m.segments[0]!.outputs.splice(0, 1, other),
      /segments\.0\.outputs: .*other.* but cuts\.0\.tensors .*r1/,
    ],
    [
      'a segment that gives more than its cut',
      (m) => m.segments[1]!.outputs.push(other),
      /segments\.1\.outputs/,
    ],
    [
      'a segment that takes another tensor than crosses',
      (m) => m.segments[1]!.inputs.splice(0, 1, other),
      /segments\.1\.inputs: .*cuts\.0\.tensors/,
    ],
    [
      'a first segment that takes something else',
      (m) => m.segments[0]!.inputs.splice(0, 1, other),
      /segments\.0\.inputs: .* but inputs of the manifest/,
    ],
    [
      'a last segment that gives something else',
      (m) => m.segments[2]!.outputs.splice(0, 1, other),
      /segments\.2\.outputs: .* but outputs of the manifest/,
    ],
    [
      'another type at a cut',
      (m) => {
        m.segments[0]!.outputs[0]!.dtype = 'float16';
      },
      /segments\.0\.outputs: it has r1 float16/,
    ],
    [
      'another shape at a cut',
      (m) => {
        m.segments[2]!.inputs[0]!.shape = [1, 7];
      },
      /segments\.2\.inputs/,
    ],
    ['a cut too few', (m) => void m.cuts.pop(), /3 segments need 2 cuts, not 1/],
    [
      'two cuts of one name',
      (m) => {
        m.cuts[1]!.name = 'r1';
      },
      /two cuts are called 'r1'/,
    ],
    [
      'scores of an output that is not there',
      (m) => {
        m.postprocess!.output = 'y9';
      },
      /postprocess\.output: .*'y9'/,
    ],
    [
      'a picture for an input that is not there',
      (m) => {
        m.preprocess!.input = 'x9';
      },
      /preprocess\.input: .*'x9'/,
    ],
    [
      'a picture larger than its input',
      (m) => {
        m.preprocess!.crop = [40000, 40000];
      },
      /preprocess\.crop: .*does not fill 'x'/,
    ],
    ['labels without postprocess', (m) => void delete m.postprocess, /labels need a postprocess/],
  ])('refuses %s', async (_, change, message) => {
    await expect(parseManifest(await changed(change))).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringMatching(message),
    });
  });

  it('refuses an id that its content does not have', async () => {
    await expect(parseManifest({ ...manifest, id: '0'.repeat(64) })).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringMatching(/its id is 0{64} but/),
    });
  });
});
