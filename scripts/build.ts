// Builds everything that is served or published: dist/ (npm package, CLI, tail) and dist-app/ (web app).
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { root, step } from './run.ts';

await Promise.all(['dist', 'dist-app'].map((dir) => rm(join(root, dir), { recursive: true, force: true })));
const results = [
  await step('library for browsers', 'vite', [
    'build',
    '--config',
    'vite.lib.config.ts',
    '--mode',
    'browser',
  ]),
  await step('library for Node, tail and CLI', 'vite', [
    'build',
    '--config',
    'vite.lib.config.ts',
    '--mode',
    'server',
  ]),
  ...(await Promise.all([
    step('type declarations', 'tsc', ['-p', 'tsconfig.build.json']),
    step('web app', 'vite', ['build']),
  ])),
];
if (results.some((r) => r.code !== 0)) process.exit(1);
await chmod(join(root, 'dist', 'cli.js'), 0o755);
