// A UDP proxy that loses, delays, doubles and reorders on demand: it stands between a client and a tail on loopback, for
// WebTransport. It does not look into what passes.
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { HEALTHY, Lane, type LinkFaults, seeded } from './link.ts';

export interface UdpProxy extends AsyncDisposable {
  readonly port: number;
  /** Changes the link from now on. */
  set(faults: Partial<LinkFaults>): void;
  readonly packets: { passed: number; lost: number };
}

/** @param to port of the tail. @param port 0 takes a free one */
export async function udpProxy(to: number, { port = 0, seed = 1 } = {}): Promise<UdpProxy> {
  const faults: LinkFaults = { ...HEALTHY };
  const random = seeded(seed);
  const packets = { passed: 0, lost: 0 };
  const timers = new Set<NodeJS.Timeout>();
  /** Every client speaks to the tail from a socket of its own, so that answers find back. */
  const paths = new Map<string, { socket: Socket; up: Lane }>();
  const front = createSocket('udp4');

  function carry(lane: Lane, packet: Buffer, send: (packet: Buffer) => void): void {
    const arrivals = faults.refuse ? [] : lane.unordered(packet.length);
    if (arrivals.length === 0) packets.lost++;
    for (const at of arrivals) {
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          packets.passed++;
          send(packet);
        },
        Math.max(0, at - performance.now()),
      );
      timers.add(timer);
    }
  }

  function pathOf({ address, port: clientPort }: RemoteInfo) {
    const key = `${address}:${clientPort}`;
    const known = paths.get(key);
    if (known) return known;
    const socket = createSocket('udp4');
    const down = new Lane(faults, random);
    socket.on('message', (packet) =>
      carry(down, packet, (p) => front.send(p, clientPort, address, () => undefined)),
    );
    socket.on('error', () => undefined);
    const path = { socket, up: new Lane(faults, random) };
    paths.set(key, path);
    return path;
  }

  front.on('message', (packet, from) => {
    const { socket, up } = pathOf(from);
    carry(up, packet, (p) => socket.send(p, to, '127.0.0.1', () => undefined));
  });
  front.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    front.once('error', reject);
    front.bind(port, '127.0.0.1', resolve);
  });
  return {
    port: front.address().port,
    set: (changed) => void Object.assign(faults, changed),
    packets,
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer);
      for (const { socket } of paths.values()) socket.close();
      await new Promise<void>((resolve) => front.close(() => resolve()));
    },
  };
}
