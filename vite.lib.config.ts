// The npm package: `dist/*.js`, one flat folder so that the worker sits beside whatever starts it.
// Two builds, chosen by --mode: `browser` (index, worker, codec, model) and `server` (Node entry, tail, CLI).
import { defineConfig, type Plugin } from 'vite';
import packageJson from './package.json' with { type: 'json' };

const installed = [
  ...Object.keys(packageJson.dependencies),
  ...Object.keys(packageJson.optionalDependencies),
];
const external = [/^node:/, ...installed.map((name) => new RegExp(`^${name}(/|$)`))];

/**
 * Bundlers of host applications find a worker by the text `new Worker(new URL('./worker.js', import.meta.url))`.
 * Vite would inline our own worker as a hashed asset instead; this keeps the text and points it at the sibling file.
 */
function keepWorkerUrl(): Plugin {
  const source = "new URL('./entry.ts', import.meta.url)";
  return {
    name: 'isthmus-worker-url',
    enforce: 'pre',
    transform(code, id) {
      if (!id.endsWith('/worker/spawn.ts')) return null;
      if (!code.includes(source)) this.error(`src/worker/spawn.ts no longer holds ${source}`);
      return code.replace(source, '__ISTHMUS_WORKER_URL__');
    },
    renderChunk: (code) =>
      code.replaceAll('__ISTHMUS_WORKER_URL__', "new URL('./worker.js', import.meta.url)"),
  };
}

const browser = {
  index: 'src/index.ts',
  worker: 'src/worker/entry.ts',
  codec: 'src/codec/index.ts',
  codecGpu: 'src/codec/gpu/index.ts',
  model: 'src/model/index.ts',
};
const server = {
  'index.node': 'src/index.node.ts',
  tail: 'src/tail/index.ts',
  tailWorker: 'src/tail/run/ortWorker.ts',
  nodeWorker: 'src/head/node/nodeWorker.ts',
  cli: 'src/cli/main.ts',
};

export default defineConfig(({ mode }) => ({
  publicDir: false,
  plugins: mode === 'server' ? [] : [keepWorkerUrl()],
  build: {
    outDir: 'dist',
    emptyOutDir: false,
    target: 'es2022',
    minify: false,
    ...(mode === 'server' ? { ssr: true } : { lib: { entry: browser, formats: ['es'] as const } }),
    rollupOptions: {
      ...(mode === 'server' ? { input: server } : {}),
      external,
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: mode === 'server' ? 'node-[name]-[hash].js' : '[name]-[hash].js',
      },
    },
  },
}));
