// `isthmus dev-cert` and `isthmus serve --dev-cert` as processes, and what they leave on disk.
import { execFile, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { certificateHashes, daysLeft } from '../tail/listen/certificate.ts';
import { ensureDevCertificate, makeDevCertificate } from '../tail/listen/devCertificate.ts';
import { testModels } from '../tail/testModels.fixture.ts';

/** These commands alone: the other ones would only slow the start down. */
const PROGRAM = `
  import { Command } from 'commander';
  import { registerDevCert } from './src/cli/devCert.ts';
  import { registerServe } from './src/cli/serve.ts';
  const program = new Command('isthmus');
  registerDevCert(program);
  registerServe(program);
  await program.parseAsync(process.argv.slice(1), { from: 'user' }).catch((e) => {
    console.error(e.code + ': ' + e.message);
    process.exitCode = 1;
  });
`;
const MAIN = ['--input-type=module', '-e', PROGRAM, '--'];
const cwd = new URL('../..', import.meta.url);
const run = promisify(execFile);
const folder = () => mkdtemp(join(tmpdir(), 'isthmus-cert-'));

test('dev-cert writes a certificate for WebTransport and its key, and prints its hash', async () => {
  const out = join(await folder(), 'new');
  const args = ['dev-cert', '--out', out, '--host', 'tail.example', '192.168.1.7'];
  const { stdout } = await run(process.execPath, [...MAIN, ...args], { cwd });
  const certificate = new X509Certificate(await readFile(join(out, 'cert.pem')));
  expect((await stat(join(out, 'key.pem'))).mode & 0o777).toBe(0o600);
  const [hash] = certificateHashes(certificate);
  expect(stdout).toContain(hash);
  expect(stdout).toContain(Buffer.from(hash!, 'base64').toString('hex'));
  expect(stdout).toContain(`--cert ${join(out, 'cert.pem')}`);
  expect(certificate.checkHost('tail.example')).toBe('tail.example');
  expect(certificate.checkIP('192.168.1.7')).toBe('192.168.1.7');
  expect(daysLeft(certificate)).toBeGreaterThan(13.5);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  const wrong = run(process.execPath, [...MAIN, 'dev-cert', '--out', out, '--host', 'https://x'], { cwd });
  await expect(wrong).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('no host name') });
});

test('a certificate is kept while it is good, and replaced when it is old, damaged, or for other names', async () => {
  const out = await folder();
  const first = await ensureDevCertificate(out);
  expect(first.made).toBe(true);
  expect(await ensureDevCertificate(out)).toMatchObject({ made: false, cert: first.cert });
  const named = await ensureDevCertificate(out, ['localhost', 'tail.example']);
  expect(named.made).toBe(true);
  await writeFile(named.files.cert, 'damaged');
  expect((await ensureDevCertificate(out)).made).toBe(true);
  const later = Date.now() + 12.1 * 86_400_000;
  expect(daysLeft((await makeDevCertificate(out)).certificate, later)).toBeLessThan(2);
});

test('serve --dev-cert makes one and answers over https', async () => {
  const [{ dir }, out] = [await testModels(), await folder()];
  const args = [...MAIN, 'serve', dir, '--port', '0', '--quiet', '--threads', '1', '--dev-cert', out];
  const child = spawn(process.execPath, args, { cwd });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  try {
    for (let i = 0; i < 600 && !text.includes('model '); i++) {
      expect(child.exitCode).toBe(null);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    const url = /^listening on (https:\/\/127\.0\.0\.1:\d+)$/m.exec(text)![1];
    const ca = await readFile(join(out, 'cert.pem'));
    expect(text).toContain(certificateHashes(new X509Certificate(ca))[0]);
    const [response] = await once(get(`${url}/link`, { ca }), 'response');
    const found = JSON.parse(Buffer.concat(await response.toArray()).toString());
    expect(found).toMatchObject({
      version: 1,
      websocket: true,
      webtransport: { certificateHashes: [expect.any(String)] },
    });
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  } finally {
    child.kill('SIGKILL');
  }
});

test('serve says what is wrong with a certificate', async () => {
  const { dir } = await testModels();
  const out = await folder();
  const { files } = await ensureDevCertificate(out);
  const serve = (...args: string[]) =>
    run(process.execPath, [...MAIN, 'serve', dir, '--port', '0', ...args], { cwd });
  const refused = (text: string) => ({ code: 1, stderr: expect.stringContaining(text) });
  await Promise.all([
    expect(serve('--cert', files.cert)).rejects.toMatchObject(refused('needs its key')),
    expect(serve('--cert', join(out, 'no'), '--key', files.key)).rejects.toMatchObject(refused('ENOENT')),
    expect(serve('--cert', files.key, '--key', files.key)).rejects.toMatchObject(refused('cannot be read')),
    expect(serve('--cert', files.cert, '--key', files.key, '--dev-cert')).rejects.toMatchObject(
      refused('either'),
    ),
  ]);
});
