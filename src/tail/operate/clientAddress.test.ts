// Behind proxies: only what trusted ones appended counts, however the header begins.
import { expect, test } from 'vitest';
import { clientAddress, isLoopback, limitKey } from './clientAddress.ts';

test.each([
  ['nobody is trusted', 0, '203.0.113.9', '1.2.3.4', '203.0.113.9'],
  ['no header', 1, '10.0.0.1', undefined, '10.0.0.1'],
  ['one proxy', 1, '10.0.0.1', '1.2.3.4', '1.2.3.4'],
  ['one proxy, and a client that lies', 1, '10.0.0.1', '6.6.6.6, 1.2.3.4', '1.2.3.4'],
  ['two proxies', 2, '10.0.0.1', '6.6.6.6, 1.2.3.4, 10.0.0.2', '1.2.3.4'],
  ['fewer hops than proxies', 3, '10.0.0.1', '1.2.3.4', '1.2.3.4'],
  ['networks', ['10.0.0.0/8'], '10.0.0.1', '6.6.6.6, 1.2.3.4, 10.9.9.9', '1.2.3.4'],
  ['from outside the networks', ['10.0.0.0/8'], '203.0.113.9', '1.2.3.4', '203.0.113.9'],
  ['IPv4 within IPv6', ['10.0.0.0/8'], '::ffff:10.0.0.1', '1.2.3.4', '1.2.3.4'],
  ['IPv6', ['fd00::/8'], 'fd00::1', '2001:db8::7', '2001:db8::7'],
  ['with ports', 1, '10.0.0.1', '1.2.3.4:5555', '1.2.3.4'],
  ['IPv6 with port', 1, '10.0.0.1', '[2001:db8::7]:5555', '2001:db8::7'],
  ['no address in the header', 1, '10.0.0.1', 'unknown', '10.0.0.1'],
  ['too many hops', 1, '10.0.0.1', Array(40).fill('1.2.3.4').join(','), '10.0.0.1'],
] as const)('%s', (_, trusted, remote, header, client) => {
  expect(clientAddress(trusted)(remote, header)).toBe(client);
});

test.each(['10.0.0.0/33', '10.0.0/8', 'proxy.example', '', '10.0.0.0/', '::1/129', '10.0.0.0/-1'])(
  "'%s' is refused as a proxy",
  (entry) => {
    expect(() => clientAddress([entry])).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  },
);

test('limits are kept per IPv4 address and per IPv6 network of 64 bits', () => {
  expect(limitKey('1.2.3.4')).toBe('1.2.3.4');
  expect(limitKey('2001:db8:0:7:1:2:3:4')).toBe('2001:db8:0:7::/64');
  expect(limitKey('2001:db8:0:7::9')).toBe('2001:db8:0:7::/64');
  expect(limitKey('2001:0db8::1')).toBe('2001:db8:0:0::/64');
  expect(limitKey('::1')).toBe('0:0:0:0::/64');
});

test('loopback', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'].map(isLoopback)).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(['128.0.0.1', '::2', '', '127.0.0.1.example'].map(isLoopback)).toEqual([false, false, false, false]);
});
