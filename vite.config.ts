// The web app: `vite` serves it in development, `vite build` writes dist-app/. The library build is vite.lib.config.ts.
import { defineConfig } from 'vite';

const tail = process.env.ISTHMUS_TAIL ?? 'http://127.0.0.1:8787';

export default defineConfig({
  base: './',
  worker: { format: 'es' },
  // onnxruntime-web finds its wasm relative to its own files; pre-bundling would move them away from it.
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  build: { outDir: 'dist-app', target: 'es2022', chunkSizeWarningLimit: 1500 },
  server: {
    proxy: {
      '/models': tail,
      '/artifacts': tail,
      '/tickets': tail,
      '/link': { target: tail, ws: true },
    },
  },
});
