// Token contexts as both ends meet them: eight bytes a token, any tensors, every flipped bit and every truncation found,
// lost and repeated tokens named, and hostile bodies refused.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { type Tensor, tensorBytes } from '../tensor.ts';
import { FrameReader } from '../wire/frameReader.ts';
import { tokenContext, writeTokenFrame } from '../wire/tokenFrame.ts';
import { decode, decodeFrame, encode, encodeFrame, openTokens, readTokens } from './index.ts';
import { PRESETS, type PresetName } from './params.ts';
import { toFloat16 } from './reference/float16.ts';
import { MADE_PROFILES } from './reference/isthmusProfiles.ts';
import { randomBits } from './reference/vectors.ts';

const NAMES = Object.keys(PRESETS) as PresetName[];
const refusal = (code: string, message = /./) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

/** A hidden state: bell-shaped, signed. */
function hidden(
  seed: number,
  shape: readonly number[] = [1, 1, 64],
  dtype: 'float32' | 'float16' = 'float16',
): Tensor {
  const random = randomBits(seed + 1);
  const data = Float32Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    () => (random() >>> 16) / 65536 + (random() >>> 16) / 65536 - 1,
  );
  return { dtype, shape, data: dtype === 'float16' ? toFloat16(data) : data };
}
const integers = (seed: number): Tensor => ({ dtype: 'int8', shape: [3], data: Int8Array.of(seed, -1, 7) });

describe('sizes', () => {
  test('raw halves and int8 cost eight bytes a token', () => {
    const halves = openTokens([hidden(0, [1, 1, 4096])], { codec: 'raw' });
    expect(halves.encode([hidden(1, [1, 1, 4096])]).length).toBe(8 + 8192);
    const bytes: Tensor = { dtype: 'int8', shape: [1, 4096], data: new Int8Array(4096).fill(-3) };
    expect(openTokens([bytes], { codec: 'slicer' }).encode([bytes]).length).toBe(8 + 4096);
    expect(
      openTokens([integers(1), integers(2)], { codec: 'raw' }).encode([integers(3), integers(4)]).length,
    ).toBe(14);
  });

  test('a codec whose params are those of the first token costs eight bytes too, else its params and two', () => {
    const first = encode(hidden(0), 'slicer');
    const next = encode(hidden(1), 'slicer');
    const tokens = openTokens([first]);
    expect(tokens.encode([{ ...first, payload: first.payload }]).length).toBe(8 + first.payload.length);
    expect(tokens.encode([next]).length).toBe(8 + 2 + next.params.length + next.payload.length);
  });
});

test('family isthmus with a profile, which fixes tables and step, sends nothing but states and words', () => {
  const profile = MADE_PROFILES.tokens;
  const state = (n: number) => hidden(n, [1, 1, 96], 'float32');
  const codec = { family: 'isthmus', profile } as const;
  const writer = openTokens([state(0)], { codec });
  const reader = readTokens(writer.opening, {
    profiles: (name) => (name === profile.name ? profile : undefined),
  });
  for (let n = 1; n < 20; n++) {
    const frame = writer.encode([state(n)]);
    const alone = encode(state(n), codec);
    expect(frame.length).toBe(8 + alone.payload.length);
    expect(reader.decode(frame)).toEqual([decode(alone, { profiles: () => profile })]);
  }
  expect(() => readTokens(writer.opening)).toThrowError(refusal('FRAME_INVALID', /profile/));
});

describe.each(NAMES)('a context of %s', (codec) => {
  const options = { codec, context: 3, modelTag: '0123456789abcdef', cut: 2, meta: { id: 9 } };

  test('gives what ordinary frames of the same tensors give', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('half', 'float', 'int', 'none', 'scalar'), { maxLength: 4 }),
        fc.nat(1000),
        (kinds, seed) => {
          const token = (n: number) =>
            kinds.map((kind, i): Tensor => {
              const at = seed + 97 * n + i;
              if (kind === 'half') return hidden(at, [1, 2, 24]);
              if (kind === 'float') return n === 2 ? hidden(at, [5], 'float32') : constantOf(5, n);
              if (kind === 'int') return integers(at & 63);
              return kind === 'none' ? hidden(at, [2, 0, 3]) : hidden(at, [], 'float32');
            });
          const writer = openTokens(token(0), options);
          const reader = readTokens(writer.opening);
          expect(reader.context).toBe(3);
          expect(reader.opening).toEqual(decodeFrame(writer.opening));
          expect(reader.opening).toMatchObject({ cut: 2, meta: { id: 9, token: { context: 3 } } });
          for (let n = 1; n < 5; n++) {
            const got = reader.decode(writer.encode(token(n)));
            expect(got).toEqual(decodeFrame(encodeFrame(token(n), { codec })).tensors);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test('finds every single flipped bit and every truncation, and then reads the sound frame', () => {
    const tokens = [hidden(5), integers(1), hidden(6, [16], 'float32')];
    const writer = openTokens(tokens, options);
    const reader = readTokens(writer.opening);
    for (let n = 0; n < 3; n++) {
      const good = writer.encode(
        tokens.map((t) => (t.dtype === 'int8' ? t : hidden(n, t.shape, t.dtype as 'float16'))),
      );
      for (let bit = 0; bit < 8 * good.length; bit++) {
        const bytes = good.slice();
        bytes[bit >> 3]! ^= 1 << (bit & 7);
        const want = bit < 32 ? 'FRAME_INVALID' : 'FRAME_CORRUPT';
        if (outcome(() => reader.decode(bytes)) !== want) expect.fail(`token ${n}, bit ${bit}`);
      }
      for (let length = 0; length < good.length; length++)
        if (outcome(() => reader.decode(good.subarray(0, length))) !== 'FRAME_INVALID')
          expect.fail(`token ${n}, ${length} bytes`);
      expect(outcome(() => reader.decode(Buffer.concat([good, Buffer.alloc(1)])))).toBe('FRAME_INVALID');
      expect(reader.decode(good).length).toBe(3);
    }
  });
});

const constantOf = (count: number, value: number): Tensor => ({
  dtype: 'float32',
  shape: [count],
  data: new Float32Array(count).fill(value),
});

function outcome(action: () => unknown): string {
  try {
    action();
    return 'read';
  } catch (e) {
    if (e instanceof IsthmusError) return e.code;
    throw e;
  }
}

describe('order', () => {
  test('a lost, a repeated and an exchanged token are noticed, also 256 tokens later', () => {
    const same = [integers(1)]; // equal contents: nothing but the sequence tells them apart
    const writer = openTokens(same, { codec: 'raw' });
    const reader = readTokens(writer.opening);
    const frames = Array.from({ length: 300 }, () => writer.encode(same));
    expect(reader.decode(frames[0]!)).toEqual(same);
    expect(() => reader.decode(frames[0]!)).toThrowError(refusal('FRAME_INVALID', /token 1 came where 2/));
    expect(() => reader.decode(frames[2]!)).toThrowError(refusal('FRAME_INVALID', /token 3 came where 2/));
    expect(() => reader.decode(frames[257]!)).toThrowError(refusal('FRAME_CORRUPT'));
    for (let n = 1; n < 300; n++) expect(reader.decode(frames[n]!)).toEqual(same);
  });

  test('a refused token is not counted at either end', () => {
    const writer = openTokens([hidden(0)], { codec: { ...PRESETS.slicer, strict: true } });
    const reader = readTokens(writer.opening);
    const wild: Tensor = { ...hidden(1), data: new Uint16Array(64).fill(0x7c00) };
    expect(() => writer.encode([wild])).toThrowError(refusal('FEATURE_NOT_FINITE'));
    expect(reader.decode(writer.encode([hidden(2)]))).toEqual([decode(encode(hidden(2), 'slicer'))]);
  });

  test('tokens of two contexts do not pass for each other', () => {
    const [a, b] = [0, 1].map((context) => openTokens([integers(1)], { codec: 'raw', context }));
    const again = openTokens([integers(1)], { codec: 'raw', meta: { other: true } });
    const reader = readTokens(a!.opening);
    expect(() => reader.decode(b!.encode([integers(2)]))).toThrowError(
      refusal('FRAME_INVALID', /context 1, not 0/),
    );
    expect(() => reader.decode(again.encode([integers(2)]))).toThrowError(
      refusal('FRAME_CORRUPT', /another context/),
    );
    expect(reader.decode(a!.encode([integers(2)]))).toEqual([integers(2)]);
  });
});

test('frames and tokens of several contexts share one stream', async () => {
  const writers = Array.from({ length: 8 }, (_, context) => openTokens([hidden(context)], { context }));
  const parts = writers.map((w) => w.opening);
  for (let n = 0; n < 5; n++)
    for (const [i, w] of writers.entries()) parts.push(w.encode([hidden(10 * n + i)]));
  parts.splice(20, 0, encodeFrame([integers(5)]));
  const readers = new Map<number, ReturnType<typeof readTokens>>();
  let plain = 0;
  let tokens = 0;
  for await (const frame of FrameReader.over(new Response(Buffer.concat(parts)).body!)) {
    const context = tokenContext(frame);
    if (context !== undefined) {
      const [got] = readers.get(context)!.decode(frame);
      expect(got).toEqual(decode(encode(hidden(10 * Math.floor(tokens++ / 8) + context))));
    } else if (decodeFrame(frame).meta.token) {
      const opened = readTokens(frame);
      readers.set(opened.context, opened);
    } else plain++;
  }
  expect([readers.size, plain, tokens]).toEqual([8, 1, 40]);
});

describe('refusals', () => {
  test('at the writer', () => {
    const open = (context: number) => () => openTokens([integers(1)], { context });
    for (const context of [-1, 8, 0.5, Number.NaN])
      expect(open(context)).toThrowError(refusal('OPTION_INVALID', /0 to 7/));
    const writer = openTokens([hidden(0)], { codec: 'raw' });
    for (const wrong of [[], [hidden(1), hidden(2)], [hidden(1, [64])], [hidden(1, [1, 1, 64], 'float32')]])
      expect(() => writer.encode(wrong)).toThrowError(refusal('INPUT_INVALID'));
    expect(() => writer.encode([encode(hidden(1), 'slicer')])).toThrowError(
      refusal('INPUT_INVALID', /slicer float16/),
    );
    const large = hidden(0, [32768]);
    expect(() => openTokens([large], { codec: 'raw' }).encode([large])).toThrowError(
      refusal('TOO_LARGE', /65535/),
    );
  });

  test('at the reader: frames that open nothing', () => {
    const frames = [
      {},
      { token: null },
      { token: {} },
      { token: { context: 8 } },
      { token: { context: '0' } },
    ].map((meta) => encodeFrame([integers(1)], { meta }));
    for (const frame of frames)
      expect(() => readTokens(frame)).toThrowError(refusal('FRAME_INVALID', /opens no/));
    const { opening } = openTokens([hidden(0)]);
    expect(() => readTokens(opening, { outputBytes: 100 })).toThrowError(refusal('TOO_LARGE'));
    expect(() => readTokens(opening.subarray(1))).toThrowError(refusal('FRAME_INVALID'));
  });

  const first = [hidden(0), integers(1), hidden(1)];
  const { opening } = openTokens(first);
  const crc = new DataView(opening.buffer).getUint32(12, true);
  const read = (same: boolean, body: number[]) =>
    readTokens(opening).decode(
      writeTokenFrame({ context: 0, opening: crc, sequence: 1 }, { same, body: Uint8Array.from(body) }),
    );

  test.each<[string, boolean, number[]]>([
    ['empty', true, []],
    ['a length that ends nowhere', true, [128]],
    ['a length with a needless byte', true, [128, 0, 1, 2, 3]],
    ['a length of four bytes', true, [128, 128, 128, 1, 1, 2, 3]],
    ['a payload beyond the body', true, [200, 1, 1, 2, 3]],
    ['integers beyond the body', true, [0, 1, 2]],
    ['params beyond the body', false, [0xff, 0xff, 0, 1, 2, 3]],
    ['half a head', false, [4]],
    ['no payload at all', true, [0, 1, 2, 3]],
  ])('a body with %s', (_, same, body) => {
    expect(() => read(same, body)).toThrowError(refusal('FRAME_INVALID'));
  });

  test('params where no tensor has any', () => {
    const raw = openTokens([integers(1)], { codec: 'raw' }).opening;
    const place = { context: 0, opening: new DataView(raw.buffer).getUint32(12, true), sequence: 1 };
    const frame = (same: boolean) => writeTokenFrame(place, { same, body: tensorBytes(integers(2)) });
    expect(() => readTokens(raw).decode(frame(false))).toThrowError(refusal('FRAME_INVALID', /have none/));
    expect(readTokens(raw).decode(frame(true))).toEqual([integers(2)]);
  });

  test('thousands of mutated bodies with a sound checksum: only typed errors', () => {
    const random = randomBits(77);
    const seeds = NAMES.map((codec) => {
      const writer = openTokens(first, { codec });
      const place = {
        context: 0,
        opening: new DataView(writer.opening.buffer).getUint32(12, true),
        sequence: 1,
      };
      return { ...writer, place, body: writer.encode([hidden(3), integers(2), hidden(4)]).subarray(8) };
    });
    const outcomes: Record<string, number> = {};
    for (let n = 0; n < 6000; n++) {
      const { opening, place, body } = seeds[random() % seeds.length]!;
      const changed = random() % 8 ? body.slice() : body.slice(0, random() % body.length);
      for (let k = random() % 3; k >= 0; k--) changed[random() % Math.min(changed.length, 60)] = random();
      const frame = writeTokenFrame(place, { same: random() % 4 === 0, body: changed });
      const code = outcome(() => readTokens(opening).decode(frame));
      outcomes[code] = (outcomes[code] ?? 0) + 1;
    }
    console.info('6000 mutated tokens:', outcomes);
    expect(Object.keys(outcomes).sort()).toEqual(['FRAME_INVALID', 'read']);
  });
});
