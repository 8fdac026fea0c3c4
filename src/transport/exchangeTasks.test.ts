// Several replies of which some are damaged, against a transport that says exactly what a test tells it to. Tasks through real
// tails: src/client/tasks.test.ts.
import { expect, test } from 'vitest';
import type { Manifest } from '../model/manifest.ts';
import { readFrame } from '../wire/readFrame.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { exchangeTasks } from './exchangeTasks.ts';
import type { Transport } from './transport.ts';

const TAG = '0123456789abcdef';
const output = (name: string) => ({ name, dtype: 'float32', shape: ['N', 1] });
const manifest = {
  name: 'tiny',
  id: TAG.padEnd(64, '0'),
  outputs: [output('logits')],
  tasks: [{ name: 'kinds', cut: 0, segments: [], outputs: [output('kinds')] }],
} as unknown as Manifest;

const whole = (task: string, value: number) =>
  writeFrame({
    kind: 'reply',
    modelTag: TAG,
    cut: 0,
    meta: { task },
    tensors: [
      {
        ...{ family: 'raw', dtype: 'float32', shape: [1, 1], flags: 0, params: new Uint8Array(0) },
        payload: new Uint8Array(Float32Array.of(value).buffer),
      },
    ],
  });
const damaged = (task: string) => {
  const frame = whole(task, 0);
  frame[frame.length - 1]! ^= 1;
  return frame;
};
const request = writeFrame({ kind: 'request', modelTag: TAG, cut: 0, meta: {}, tensors: [] });

/** Each entry is what one `send` gets, the last reply last. */
function scripted(...script: Uint8Array[][]): Transport {
  return {
    kind: 'websocket',
    async send(frame, { onReply } = {}) {
      expect(readFrame(frame).meta.tasks).toEqual(['main', 'kinds']);
      const replies = script.shift()!;
      for (const reply of replies.slice(0, -1)) onReply?.(reply);
      return {
        ...{ frame: replies.at(-1)!, via: 'websocket', timings: { firstByte: 1, download: 1 } },
        ...{ bytesUp: frame.byteLength, bytesDown: 1 },
      };
    },
    close: async () => undefined,
  };
}

async function answers(transport: Transport) {
  const told: string[] = [];
  const wish = { tasks: ['main', 'kinds'], keep: false, onTask: (task: string) => void told.push(task) };
  const { tasks, failed, resent } = await exchangeTasks(transport, manifest, request, wish);
  expect(failed.size).toBe(0);
  expect(told.sort()).toEqual(['kinds', 'main']); // each once
  return { resent, values: [...tasks.values()].map((t) => (Object.values(t)[0]!.data as Float32Array)[0]) };
}

const good = [whole('main', 1), whole('kinds', 2)];

test('one damaged reply, or both: the request is sent again, once', async () => {
  for (const first of [
    [damaged('main'), whole('kinds', 2)],
    [whole('main', 1), damaged('kinds')],
    [damaged('main'), damaged('kinds')],
  ]) {
    const { resent, values } = await answers(scripted(first, good));
    expect(resent).toBe(true);
    expect(values.sort()).toEqual([1, 2]);
  }
  const twice = scripted([damaged('main'), good[1]!], [damaged('main'), good[1]!]);
  await expect(answers(twice)).rejects.toMatchObject({ code: 'FRAME_CORRUPT' });
});

test('a damaged reply that the transport has brought again by another way is no reason to ask again', async () => {
  const { resent, values } = await answers(scripted([damaged('main'), ...good]));
  expect(resent).toBe(false);
  expect(values).toEqual([1, 2]);
});
