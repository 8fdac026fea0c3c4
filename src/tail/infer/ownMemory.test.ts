import { expect, test } from 'vitest';
import { ownMemory } from './ownMemory.ts';

test('bytes that have a buffer to themselves stay, behind a header too', () => {
  const whole = new Uint8Array(100);
  expect(ownMemory(whole).buffer).toBe(whole.buffer);
  const body = whole.subarray(16);
  expect([ownMemory(body).buffer, ownMemory(body).byteOffset]).toEqual([whole.buffer, 16]);
  const large = Buffer.concat([Buffer.alloc(40_000, 1), Buffer.alloc(40_000, 2)]);
  expect(ownMemory(large).buffer).toBe(large.buffer);
});

test('bytes beside others are copied, so that these stay when they move', () => {
  const chunk = new Uint8Array(100).map((_, i) => i);
  for (const [from, to] of [
    [0, 99],
    [17, 100],
    [16, 99],
  ] as const) {
    const own = ownMemory(chunk.subarray(from, to));
    expect(own.buffer).not.toBe(chunk.buffer);
    expect([...own]).toEqual([...chunk.subarray(from, to)]);
    structuredClone(own, { transfer: [own.buffer] });
    expect(chunk.byteLength).toBe(100);
  }
  const pooled = Buffer.from('of a pool that Node shares');
  expect(ownMemory(pooled).buffer).not.toBe(pooled.buffer);
});
