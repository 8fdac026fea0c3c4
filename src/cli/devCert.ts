// `isthmus dev-cert`: makes a short-lived certificate for development and prints the hash by which browsers may trust it.
// `isthmus serve --dev-cert` makes and renews the same by itself.
import type { Command } from 'commander';
import { daysLeft, sha256 } from '../tail/listen/certificate.ts';
import { LOCAL_HOSTS, makeDevCertificate } from '../tail/listen/devCertificate.ts';

/** Where both commands keep it unless told otherwise. */
export const DEV_CERT_FOLDER = '.isthmus-cert';

/** Adds `dev-cert` to the program. */
export function registerDevCert(program: Command): void {
  program
    .command('dev-cert')
    .description(
      'make a certificate that is valid for 14 days, for HTTPS and WebTransport without an authority',
    )
    .option('--out <dir>', 'folder for cert.pem and key.pem', DEV_CERT_FOLDER)
    .option('--host <name...>', 'names and addresses by which clients reach this machine', LOCAL_HOSTS)
    .action(devCert);
}

async function devCert({ out, host }: { out: string; host: string[] }): Promise<void> {
  const { certificate, files } = await makeDevCertificate(out, host);
  const hash = sha256(certificate);
  console.log(`certificate ${files.cert}`);
  console.log(`key         ${files.key}`);
  console.log(`hosts       ${host.join(', ')}`);
  console.log(`expires     ${certificate.validTo} (in ${Math.floor(daysLeft(certificate))} days)`);
  console.log(`sha-256     ${hash.toString('base64')}`);
  console.log(`            ${hash.toString('hex')}`);
  console.log(`next        isthmus serve models --cert ${files.cert} --key ${files.key}`);
}
