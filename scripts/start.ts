// `npm start`: the main job. Builds what is missing or older than its sources, then serves app and tail on one origin.
import { spawn } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './run.ts';

const newest = Math.max(
  ...globSync(['src/**/*', 'shaders/**/*', 'public/**/*', 'index.html', 'vite*.ts', 'package.json'], {
    cwd: root,
  }).map((file) => statSync(join(root, file)).mtimeMs),
);
const built = ['dist/cli.js', 'dist/worker.js', 'dist-app/index.html'].map((file) => join(root, file));
if (!built.every((file) => existsSync(file) && statSync(file).mtimeMs >= newest)) {
  console.log('Building …');
  const { code } = await run('node', ['scripts/build.ts']);
  if (code !== 0) process.exit(code);
}

const extra = process.argv.slice(2);
const child = spawn(
  process.execPath,
  [join(root, 'dist/cli.js'), 'serve', join(root, 'models'), '--app', join(root, 'dist-app'), ...extra],
  {
    stdio: 'inherit',
  },
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
child.on('exit', (code) => process.exit(code ?? 0));
