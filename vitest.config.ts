// Three projects: `node` runs *.test.ts in Node, `faults` those of e2e/ against servers and proxies, `browser`
// runs *.gpu.test.ts in real Chromium.
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { CHROMIUM_ARGS, findChromium } from './scripts/chromium.ts';

const executablePath = findChromium();
/** Where both projects of Node keep what they write. */
const setupFiles = ['src/testFolder.fixture.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          include: ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts'],
          exclude: ['src/**/*.gpu.test.ts'],
          setupFiles,
          environment: 'node',
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['e2e/**/*.test.ts'],
          setupFiles,
          environment: 'node',
          testTimeout: 60_000,
        },
      },
      {
        optimizeDeps: { exclude: ['onnxruntime-web'] },
        worker: { format: 'es' },
        test: {
          name: 'browser',
          include: ['src/**/*.gpu.test.ts'],
          testTimeout: 120_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: { args: CHROMIUM_ARGS, ...(executablePath ? { executablePath } : {}) },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
});
