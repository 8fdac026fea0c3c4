// `npm run check`: types, lint and format, the import rule, unused exports and dependencies, and that the
// committed WebAssembly is what wasm/ compiles to. Ends with 1 if any fails.
import { step } from './run.ts';

const results = await Promise.all([
  step('types', 'tsc', ['-p', '.']),
  step('lint and format', 'biome', ['check', '.']),
  step('import rule', 'depcruise', ['--config', '.dependency-cruiser.cjs', 'src']),
  step('unused exports and dependencies', 'knip', []),
  step('kernels', 'node', ['scripts/wasm.ts', '--check']),
]);
if (results.some((r) => r.code !== 0)) process.exit(1);
