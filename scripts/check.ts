// `npm run check`: types, lint and format, the import rule, unused exports and dependencies. Ends with 1 if any fails.
import { step } from './run.ts';

const results = await Promise.all([
  step('types', 'tsc', ['-p', '.']),
  step('lint and format', 'biome', ['check', '.']),
  step('import rule', 'depcruise', ['--config', '.dependency-cruiser.cjs', 'src']),
  step('unused exports and dependencies', 'knip', []),
]);
if (results.some((r) => r.code !== 0)) process.exit(1);
