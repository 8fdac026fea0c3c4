// Compiles the AssemblyScript kernels of wasm/ to one WebAssembly module and writes it as text to src/codec/wasm/module.ts,
// which is committed, so that nobody needs the compiler to use or test the codec. `--check` writes nothing and fails when
// the committed text is not what the kernels compile to.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import asc from 'assemblyscript/asc';
import { root } from './run.ts';

const sources = join(root, 'wasm');
const target = join(root, 'src/codec/wasm/module.ts');
const FLAGS = [
  ...['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--outFile', 'module.wasm'],
  ...['--disableWarning', '112'], // vectors cross only between kernels, never into JavaScript
];

/** One module with what every file of wasm/ exports; wasm/lib/ is theirs to import. */
async function compile(): Promise<Uint8Array> {
  const kernels = (await readdir(sources)).filter((name) => name.endsWith('.ts')).sort();
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main([...kernels, '--baseDir', sources, ...FLAGS], {
    writeFile: (name, contents) => {
      if (name === 'module.wasm') binary = contents as Uint8Array;
    },
  });
  if (error || stderr.toString() || !binary) {
    console.error(stderr.toString());
    process.exit(1);
  }
  return binary;
}

const binary = await compile();
const text = `// The kernels of wasm/ as a WebAssembly module in base64, ${binary.length} bytes. Made by \`node scripts/wasm.ts\`; do not edit.
export const WASM_MODULE =
  '${Buffer.from(binary).toString('base64')}';
`;
if (process.argv.includes('--check')) {
  if ((await readFile(target, 'utf8').catch(() => '')) !== text) {
    console.error(
      'src/codec/wasm/module.ts is not what wasm/ compiles to. Run `node scripts/wasm.ts` and commit the result.',
    );
    process.exit(1);
  }
} else {
  await writeFile(target, text);
  console.log(`src/codec/wasm/module.ts: ${binary.length} bytes of WebAssembly`);
}
