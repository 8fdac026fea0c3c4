// Every figure of the soak in two sizes: long for `npm run test:soak`, short for `npm test`.
import { crashingClients } from './crashing.ts';
import { drainUnderLoad } from './drain.ts';
import type { Figure } from './figure.ts';
import { malformedHttp } from './malformed.ts';
import { overload } from './overload.ts';
import { refusedAtTheDoor } from './refused.ts';
import { slowClients } from './slow.ts';
import { steadyMemory } from './steady.ts';

type Sizes = { short?: () => Promise<Figure>; long: () => Promise<Figure> };

export const FIGURES: Readonly<Record<string, Sizes>> = {
  S1: { short: () => malformedHttp(4000), long: () => malformedHttp(100_000) },
  S2: { short: () => slowClients(200, 100, 300), long: () => slowClients(1000, 500, 2000) },
  S3: { short: () => overload(3), long: () => overload(15) },
  S4: { short: () => steadyMemory(3000), long: () => steadyMemory(100_000) },
  S5: { short: () => crashingClients(1000), long: () => crashingClients(10_000) },
  S7: { short: () => drainUnderLoad(4), long: () => drainUnderLoad(16) },
  // Its cases are tests of their own already.
  S8: { long: refusedAtTheDoor },
};
