// The short form of `npm run test:soak`: every promise of the tail against a real server, at a size a test run can bear.
import { expect, test } from 'vitest';
import { FIGURES } from './figures.ts';

for (const [id, { short }] of Object.entries(FIGURES)) {
  if (!short) continue;
  // Again where it misses: the figures compare times, and a test run is no quiet machine.
  test(id, { retry: 2 }, async () => {
    const figure = await short();
    console.log(`${figure.id} ${figure.promise}: ${figure.measured} (reach: ${figure.reach})`);
    expect(figure.kept, figure.measured).toBe(true);
  });
}
