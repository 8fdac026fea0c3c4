// The short form of `npm run test:soak`: every promise of the tail against a real server, at a size a test run can bear.
// Times are printed and not judged here: a test run is no quiet machine.
import { expect, test } from 'vitest';
import { FIGURES } from './figures.ts';

for (const [id, { short }] of Object.entries(FIGURES)) {
  if (!short) continue;
  test(id, async () => {
    const figure = await short();
    console.log(`${figure.id} ${figure.promise}: ${figure.measured} (reach: ${figure.reach})`);
    expect(figure.sound, figure.measured).toBe(true);
  });
}
