#!/usr/bin/env node
// What `isthmus` starts: looks at the Node it runs on before anything is loaded that an old one cannot read.
import { nodeTooOld } from './nodeVersion.ts';

const sentence = nodeTooOld(process.versions.node);
if (sentence === undefined) await (await import('./runCommand.ts')).runCommand();
else {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = 1;
}
