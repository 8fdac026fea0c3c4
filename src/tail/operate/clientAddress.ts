// Whose request it is when proxies stand in front: X-Forwarded-For is a list that anybody can begin, so only what proxies
// of ours have appended to it is believed. Limits per address stand on this.
import { BlockList, isIP } from 'node:net';
import { IsthmusError } from '../../errors.ts';

/** How many proxies stand in front, or the networks they are in: addresses or CIDR blocks. */
export type TrustedProxies = number | readonly string[];

export type AddressOf = (remote: string | undefined, forwardedFor: string | undefined) => string;

/** More hops than anybody has; a longer header is a trick. */
const MOST_HOPS = 32;

/** @throws IsthmusError OPTION_INVALID for what is no address, block or count */
export function clientAddress(trusted: TrustedProxies = 0): AddressOf {
  const ours = typeof trusted === 'number' ? undefined : blockList(trusted);
  const isOurs = (address: string, hop: number): boolean =>
    ours ? ours.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4') : hop < (trusted as number);
  return (remote, forwardedFor) => {
    let address = plain(remote ?? '');
    const hops = (forwardedFor ?? '').split(',', MOST_HOPS + 1);
    if (forwardedFor === undefined || hops.length > MOST_HOPS) return address;
    // From the nearest hop outwards, for as long as the one that says so is a proxy of ours.
    for (let hop = 0; isIP(address) && isOurs(address, hop); hop++) {
      const next = plain(hops.pop()?.trim() ?? '');
      if (!isIP(next)) break;
      address = next;
    }
    return address;
  };
}

/** What limits are kept by: an IPv6 customer has a whole /64, and would never run out of addresses. */
export function limitKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const left = head ? head.split(':') : [];
  const right = tail ? tail.split(':') : [];
  const gap = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(Math.max(0, gap)).fill('0'), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

/** True for the machine itself: 127.0.0.0/8 and ::1. */
export function isLoopback(address: string): boolean {
  const bare = plain(address);
  return (isIP(bare) === 4 && bare.startsWith('127.')) || bare === '::1';
}

/** Without zone, brackets and port, and IPv4 as itself where a socket shows it within IPv6. */
function plain(address: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(address)?.[1];
  const bare = (bracketed ?? address.replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')).split('%', 1)[0]!;
  return bare.replace(/^::ffff:(?=\d+\.)/i, '');
}

function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIP(address);
    const most = family === 6 ? 128 : 32;
    const prefix = bits === undefined ? most : Number(bits);
    if (family === 0 || !/^\d*$/.test(bits ?? '') || bits === '' || prefix > most) {
      throw new IsthmusError(
        'OPTION_INVALID',
        `'${entry}' is no trusted proxy. Write an address or a block such as 10.0.0.0/8, or how many proxies there are.`,
      );
    }
    list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}
