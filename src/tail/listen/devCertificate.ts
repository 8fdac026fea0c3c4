// A certificate for development and for a tail without a domain: signed by itself, ECDSA P-256, and short-lived, because
// only such a one may be trusted by its hash (WebTransport's `serverCertificateHashes`). Written to a folder and renewed.
import { webcrypto, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { IsthmusError } from '../../errors.ts';
import { daysLeft, MOST_DAYS, type TlsOptions } from './certificate.ts';

/** Renewed when it has fewer days left than this. */
const FEW_DAYS = 2;
const DAY_MS = 86_400_000;
/** Clocks of clients may be behind ours. */
const BACK_MS = 3_600_000;

export const LOCAL_HOSTS = ['localhost', '127.0.0.1', '::1'];

export interface DevCertificate extends TlsOptions {
  certificate: X509Certificate;
  /** Paths of the two PEM files. */
  files: { cert: string; key: string };
  /** Whether this call has made it. */
  made: boolean;
}

/**
 * The certificate in `folder`; a new one where there is none, it expires within two days, or lacks one of the names.
 *
 * @param hosts names and addresses by which clients reach the tail
 * @throws IsthmusError OPTION_INVALID for a host that is no name, or a folder that cannot be written
 */
export async function ensureDevCertificate(
  folder: string,
  hosts: readonly string[] = LOCAL_HOSTS,
): Promise<DevCertificate> {
  return (await readDevCertificate(folder, hosts)) ?? makeDevCertificate(folder, hosts);
}

/** Makes a new one in any case. @throws as {@link ensureDevCertificate} */
export async function makeDevCertificate(
  folder: string,
  hosts: readonly string[] = LOCAL_HOSTS,
): Promise<DevCertificate> {
  const { cert, key } = await selfSigned(hosts);
  const files = filesIn(folder);
  try {
    await mkdir(folder, { recursive: true });
    // The key first, and each in one step: a reader never finds half a file.
    for (const [path, text, mode] of [
      [files.key, key, 0o600],
      [files.cert, cert, 0o644],
    ] as const) {
      await writeFile(`${path}.new`, text, { mode });
      await rename(`${path}.new`, path);
    }
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new IsthmusError(
      'OPTION_INVALID',
      `The folder '${folder}' cannot be written (${reason}). Name another.`,
      {
        cause,
      },
    );
  }
  return { cert, key, files, certificate: new X509Certificate(cert), made: true };
}

async function readDevCertificate(
  folder: string,
  hosts: readonly string[],
): Promise<DevCertificate | undefined> {
  const files = filesIn(folder);
  try {
    const [cert, key] = await Promise.all([readFile(files.cert, 'utf8'), readFile(files.key, 'utf8')]);
    const certificate = new X509Certificate(cert);
    const names = (host: string) => (isIP(host) ? certificate.checkIP(host) : certificate.checkHost(host));
    if (daysLeft(certificate) < FEW_DAYS || !hosts.every(names)) return undefined;
    return { cert, key, files, certificate, made: false };
  } catch {
    return undefined; // none yet, or none that can be read
  }
}

const filesIn = (folder: string) => ({ cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') });

async function selfSigned(hosts: readonly string[]): Promise<{ cert: string; key: string }> {
  for (const host of hosts) {
    if (isIP(host) || /^(\*\.)?[a-z\d-]+(\.[a-z\d-]+)*$/i.test(host)) continue;
    throw new IsthmusError('OPTION_INVALID', `'${host}' is no host name. Leave out scheme and port.`);
  }
  const x509 = await loadX509();
  const crypto = webcrypto as Crypto;
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const now = Date.now();
  const names = hosts.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value }));
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=Isthmus development',
      notBefore: new Date(now - BACK_MS),
      notAfter: new Date(now - BACK_MS + MOST_DAYS * DAY_MS),
      keys,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.SubjectAlternativeNameExtension(names),
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      ],
    },
    crypto,
  );
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  const lines = pkcs8.match(/.{1,64}/g)!.join('\n');
  const key = `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`;
  return { cert: `${certificate.toString('pem')}\n`, key };
}

/**
 * The library stands on an injector that wants reflection of metadata, and uses it only to find that its classes have none.
 * So we give it the three functions it calls rather than one more package, unless there is one already.
 */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  const reflect = Reflect as unknown as Record<string, unknown>;
  for (const name of ['getMetadata', 'getOwnMetadata', 'defineMetadata']) reflect[name] ??= () => undefined;
  return import('@peculiar/x509');
}
