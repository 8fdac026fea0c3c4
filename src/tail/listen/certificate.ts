// Certificates as the listener needs them: checked before any port is opened, and the hash by which a browser may trust
// one that no authority has signed. Making one is devCertificate.ts.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { IsthmusError } from '../../errors.ts';

/** PEM texts. `cert` may hold a chain, the server's own first. */
export interface TlsOptions {
  cert: string | Buffer;
  key: string | Buffer;
}

const DAY_MS = 86_400_000;
/** https://www.w3.org/TR/webtransport/#custom-certificate-requirements */
export const MOST_DAYS = 14;

/** @throws IsthmusError OPTION_INVALID when it is no certificate, or the key belongs to another */
export function checkTls({ cert, key }: TlsOptions): X509Certificate {
  const invalid = (reason: string, cause?: unknown) =>
    new IsthmusError('OPTION_INVALID', `${reason} Give the PEM files of one certificate and its key.`, {
      cause,
    });
  let own: X509Certificate;
  try {
    own = new X509Certificate(cert);
  } catch (cause) {
    throw invalid('The certificate cannot be read.', cause);
  }
  let belongs: boolean;
  try {
    belongs = own.checkPrivateKey(createPrivateKey(key));
  } catch (cause) {
    throw invalid('The key of the certificate cannot be read.', cause);
  }
  if (!belongs) throw invalid('The key is not that of the certificate.');
  return own;
}

/**
 * Base64 sha-256 hashes for `serverCertificateHashes`. Browsers take them only for ECDSA P-256 and at most 14 days, so
 * certificates of an authority have none, and need none.
 */
export function certificateHashes(cert: X509Certificate): string[] {
  const { asymmetricKeyType, asymmetricKeyDetails } = cert.publicKey;
  const days = (cert.validToDate.getTime() - cert.validFromDate.getTime()) / DAY_MS;
  const fits =
    cert.issuer === cert.subject &&
    asymmetricKeyType === 'ec' &&
    asymmetricKeyDetails?.namedCurve === 'prime256v1' &&
    days <= MOST_DAYS;
  return fits ? [sha256(cert).toString('base64')] : [];
}

/** Of the whole certificate in DER: what WebTransport calls its hash. */
export function sha256(cert: X509Certificate): Buffer {
  return Buffer.from(cert.fingerprint256.replaceAll(':', ''), 'hex');
}

/** Days until it is not valid any more; negative when it is not. */
export function daysLeft(cert: X509Certificate, now = Date.now()): number {
  return (cert.validToDate.getTime() - now) / DAY_MS;
}
