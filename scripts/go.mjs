// `node scripts/go.mjs NAME …` runs scripts/NAME.ts, on a Node that can; on others it says in one line what to do. Plain old
// JavaScript: every Node can read it.
import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const name = process.argv[2];
const installed = existsSync(fileURLToPath(new URL('../node_modules/vite/package.json', import.meta.url)));
const canRun = major > 23 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18); // TypeScript as it is
if (!installed || !canRun) {
  const why = installed
    ? `this is Node ${process.versions.node}, and 22.18 or later is needed`
    : 'nothing is installed yet';
  const how = 'Run `npm install`, which brings Node 24 for the scripts too, and start them through npm';
  process.stderr.write(
    `isthmus: ${why}. ${how} (\`npm ${name === 'start' || name === 'test' ? name : `run ${name}`}\`).\n`,
  );
  process.exitCode = 1;
} else {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  process.argv.splice(1, 2, file);
  await import(pathToFileURL(file).href);
}
