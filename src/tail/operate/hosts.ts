// Under which names a tail answers. A page whose own name has been pointed at this machine (DNS rebinding) asks with that
// name, and origin and host agree: only a list of names tells it from a page of ours. Addresses cannot be pointed anywhere.
import { isIP } from 'node:net';
import { IsthmusError } from '../../errors.ts';
import { isLoopback } from './clientAddress.ts';

/** Names without a port, `.example` for all below it; `'*'` for any. */
export type HostList = readonly string[];

/** @param host the `Host` (or `:authority`) of a request; programs of HTTP/1.0 send none */
export type HostCheck = (host: string | undefined) => boolean;

const NAME = /^\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/**
 * Addresses and names of this machine always pass.
 * @throws IsthmusError OPTION_INVALID for an entry that is no name
 */
export function hostCheck(list: HostList | undefined): HostCheck {
  if (list === undefined || list.includes('*')) return () => true;
  const allowed = list.map((entry) => entry.toLowerCase());
  const wrong = allowed.find((entry) => !NAME.test(entry) && isIP(entry) === 0);
  if (wrong !== undefined)
    throw new IsthmusError(
      'OPTION_INVALID',
      `'${wrong}' is no name of a host. Write it without scheme and port, as tail.example, or .example for all below it.`,
    );
  const passes = [...allowed, 'localhost', '.localhost'];
  return (host) => {
    const name = nameOf(host);
    if (name === '' || isIP(name) !== 0) return true;
    return passes.some((entry) => (entry.startsWith('.') ? name.endsWith(entry) : name === entry));
  };
}

/** Where only this machine can ask, no name of another one is right; elsewhere any may be. */
export function usualHosts(listensOn: string): HostList | undefined {
  return listensOn === 'localhost' || isLoopback(listensOn) ? [] : undefined;
}

export const otherHost = (): IsthmusError =>
  new IsthmusError(
    'FORBIDDEN',
    'This tail does not answer under this host name. Its operator adds the name to `allowedHosts`.',
  );

/** In lower case, without port, brackets and the dot at the end. */
function nameOf(host = ''): string {
  const [, address, name = ''] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host.toLowerCase()) ?? [];
  return address ?? name.replace(/\.$/, '');
}
