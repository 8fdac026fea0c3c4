// Where `isthmus serve` has its certificate from: PEM files that are named, or one for development that it keeps itself.
// What a certificate must be is checked by the tail.
import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { IsthmusError } from '../errors.ts';
import type { TailServer, TailServerOptions } from '../tail/index.ts';
import { ensureDevCertificate, LOCAL_HOSTS } from '../tail/listen/devCertificate.ts';
import type { Settings } from '../tail/operate/settings.ts';

type TlsSettings = Pick<Settings, 'cert' | 'key' | 'devCert' | 'webtransport' | 'host'>;

/** @throws IsthmusError OPTION_INVALID */
export async function tlsOptions({
  cert,
  key,
  devCert,
  webtransport,
  host,
}: TlsSettings): Promise<Pick<TailServerOptions, 'tls' | 'webTransport'>> {
  if (devCert !== undefined) {
    if (cert !== undefined || key !== undefined) {
      throw new IsthmusError('OPTION_INVALID', 'Give either dev-cert, or cert and key.');
    }
    const made = await ensureDevCertificate(devCert, [...new Set([...LOCAL_HOSTS, ...hostsOf(host)])]);
    return { tls: { cert: made.cert, key: made.key }, webTransport: webtransport };
  }
  if (cert === undefined && key === undefined) return {};
  if (cert === undefined || key === undefined) {
    throw new IsthmusError('OPTION_INVALID', 'A certificate needs its key: give both, cert and key.');
  }
  return { tls: { cert: await read('cert', cert), key: await read('key', key) }, webTransport: webtransport };
}

/**
 * Looks every hour, and whenever the result is called, whether there is another certificate by now: renewed by whoever
 * renews it, or made anew because the one for development runs out. @returns what looks at once
 */
export function renewTls(
  tail: TailServer,
  settings: TlsSettings,
  log: { warn(fields: object, message: string): void },
): () => Promise<void> {
  let last: string | undefined;
  const look = async () => {
    try {
      const { tls } = await tlsOptions(settings);
      const cert = tls?.cert.toString();
      if (!tls || cert === last) return;
      if (last !== undefined) {
        await tail.renewCertificate(tls);
        log.warn({ hashes: tail.webTransport?.certificateHashes }, 'certificate renewed');
      }
      last = cert;
    } catch (thrown) {
      const { code, message } = IsthmusError.from(thrown, 'INTERNAL', 'The certificate was not renewed.');
      log.warn({ code }, message);
    }
  };
  void look();
  setInterval(look, 3_600_000).unref();
  return look;
}

/** Names for the certificate: the address itself, or all that a wildcard stands for. */
function hostsOf(host: string): string[] {
  if (host !== '0.0.0.0' && host !== '::') return [host];
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.filter((a) => !a.internal && a.family === 'IPv4').map((a) => a.address);
}

async function read(setting: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new IsthmusError('OPTION_INVALID', `${setting}: '${path}' cannot be read (${reason}).`, { cause });
  }
}
