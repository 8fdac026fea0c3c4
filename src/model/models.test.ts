// Real networks: the cuts that `auto` takes, and a sample of all others, chained against the whole model.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { naturalCuts } from './bottlenecks.ts';
import { sweepCuts } from './cuts.ts';
import { randomFeeds, relativeDifference, runChain, runModel } from './node/chain.ts';
import { infoOf, openModel } from './open.ts';
import { extractChain } from './partition.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';

const data = process.env.ISTHMUS_DATA ?? fileURLToPath(new URL('../../../shared/data', import.meta.url));
const absent = !existsSync(`${data}/models`);
if (absent) console.warn(`No models in ${data}: real networks were NOT cut. Set ISTHMUS_DATA.`);

describe.skipIf(absent)('real networks', () => {
  it.each<[string, number, string[]]>([
    ['squeezenet1.1', 8, ['squeezenet0_relu7_fwd', 'squeezenet0_relu16_fwd', 'squeezenet0_relu22_fwd']],
    ['mobilenetv2-1.0-224', 8, ['conv13', 'conv24', 'conv50']],
    ['resnet20-cifar10', 8, ['layer1.2.add_relu', 'layer2.2.add_relu']],
    ['resnet56-cifar10', 8, ['layer2.0.add_relu', 'layer3.0.add_relu']],
    ['resnet50v2-stage3-imagenette10', 8, ['resnetv24_stage2_plus0', 'resnetv24_stage3_plus0']],
    ['ultraface-RFB-320', 8, ['268', '314']],
    ['deeplabv3-mnv2-dm05-257', 6, ['conv12']],
  ])('%s', async (name, count, some) => {
    const bytes = await readFile(`${data}/models/${name}.onnx`);
    const model = await openModel(bytes, { probe });
    const feeds = randomFeeds(model.graph.inputs.map((input) => infoOf(model, input.name)));
    const whole = await runModel(bytes, feeds);
    const natural = naturalCuts(model);
    expect(natural).toHaveLength(count);
    expect(natural).toEqual(expect.arrayContaining(some.map((tensor) => [tensor])));

    const all = sweepCuts(model.graph);
    const sample = [0.1, 0.37, 0.62, 0.93].map((share) => [all[Math.floor(share * all.length)]!.tensors]);
    for (const cuts of [natural, ...sample]) {
      const chained = await runChain(extractChain(model, cuts).files.values(), feeds);
      expect(relativeDifference(whole, chained), cuts.join(' | ')).toBeLessThanOrEqual(1e-5);
    }
  });
});
