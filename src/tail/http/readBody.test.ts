// Reading bodies: what arrives is copied at once, and the budget is whole again after every end.
import { expect, test } from 'vitest';
import { ByteBudget, readBody } from './readBody.ts';

/** Bytes 0, 1, 2, … in chunks of one, all in the same piece of memory, as a source with a buffer of its own does it. */
function drops(count: number): ReadableStream<Uint8Array> {
  const drop = new Uint8Array(1);
  let sent = 0;
  return new ReadableStream(
    {
      pull(controller) {
        if (sent === count) return controller.close();
        drop[0] = sent++;
        controller.enqueue(drop);
      },
    },
    { highWaterMark: 0 },
  );
}

const request = (body: ReadableStream, headers: Record<string, string> = {}) =>
  new Request('http://x/', { method: 'POST', body, headers, duplex: 'half' } as RequestInit);

test.each([0, 1, 2, 3, 4, 5, 100, 1000])('%d chunks of one byte are copied as they come', async (count) => {
  const budget = new ByteBudget(count);
  const want = Uint8Array.from({ length: count }, (_, i) => i);
  for (const headers of [{}, { 'content-length': String(count) }] as Record<string, string>[]) {
    const body = await readBody(request(drops(count), headers), 5000, budget);
    expect(body).toEqual(want);
    // It will be moved to a worker, so nothing else may lie in its memory.
    expect(body.buffer.byteLength).toBe(count);
    expect(budget.held).toBe(count);
    budget.give(count);
  }
});

test('a refused body leaves nothing taken', async () => {
  const budget = new ByteBudget(100);
  await expect(readBody(request(drops(60)), 50, budget)).rejects.toMatchObject({ code: 'TOO_LARGE' });
  await expect(readBody(request(drops(160)), 500, budget)).rejects.toMatchObject({ code: 'OVERLOADED' });
  expect(budget.held).toBe(0);
});
