// A TCP proxy that misbehaves on demand: it stands between a client and a tail on loopback, for every transport that runs
// over TCP. It does not look into what passes.
import { type AddressInfo, createConnection, createServer, type Server, type Socket } from 'node:net';
import { HEALTHY, Lane, type LinkFaults, seeded } from './link.ts';

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Changes the link from now on, for connections that are open too. */
  set(faults: Partial<LinkFaults>): void;
  /** Resets every open connection. @returns how many there were */
  cut(): number;
  /** Resets the next connection that carries bytes downwards once it has carried that many. */
  cutAfter(bytesDown: number): void;
  /** Flips one bit of the byte at that offset downwards, in the next connection that carries as many. */
  flipAt(bytesDown: number): void;
  /** Bits flipped so far. */
  readonly flipped: number;
  /** Connections that are open now, and all there ever were. */
  readonly open: number;
  readonly opened: number;
  readonly bytes: { up: number; down: number };
}

/** Bytes under way in one direction before the sender is told to wait. */
const BUFFER = 256 * 1024;

/** @param to port of the tail. @param port 0 takes a free one */
export async function tcpProxy(to: number, { port = 0, seed = 1 } = {}): Promise<TcpProxy> {
  const faults: LinkFaults = { ...HEALTHY };
  const random = seeded(seed);
  const pairs = new Set<readonly [Socket, Socket]>();
  const bytes = { up: 0, down: 0 };
  let opened = 0;
  let cutAt: number | undefined;
  let flip: number | undefined;
  let flipped = 0;
  /** Both sides of what is held back by a blackhole. */
  const waiting = new Set<() => void>();

  const server: Server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    opened++;
    if (faults.refuse) return void client.resetAndDestroy();
    const tail = createConnection({ port: to, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    const pair = [client, tail] as const;
    pairs.add(pair);
    const end = (socket: Socket, other: Socket) => () => {
      pairs.delete(pair);
      // What had left before the end still arrives; a reset does not wait.
      if (socket.errored || other.destroyed) other.destroy();
    };
    client.on('close', end(client, tail)).on('error', () => tail.resetAndDestroy());
    tail.on('close', end(tail, client)).on('error', () => client.resetAndDestroy());
    let down = 0;
    let dead = false;
    const alive = () => !dead;
    carry(
      client,
      tail,
      (chunk) => {
        bytes.up += chunk.length;
        return chunk;
      },
      alive,
    );
    carry(
      tail,
      client,
      (chunk) => {
        const before = down;
        down += chunk.length;
        bytes.down += chunk.length;
        if (flip !== undefined && before <= flip && flip < down) {
          chunk[flip - before]! ^= 1 << Math.floor(random() * 8);
          flip = undefined;
          flipped++;
        }
        if (cutAt !== undefined && down >= cutAt) {
          const kept = chunk.subarray(0, Math.max(0, cutAt - before));
          cutAt = undefined;
          dead = true;
          // A little later, so that what was kept is on its way before the reset.
          setTimeout(() => {
            client.resetAndDestroy();
            tail.resetAndDestroy();
          }, 5);
          return kept;
        }
        return chunk;
      },
      alive,
    );
  });

  function carry(from: Socket, into: Socket, pass: (chunk: Buffer) => Buffer, alive: () => boolean): void {
    const lane = new Lane(faults, random);
    const queue: { at: number; chunk: Buffer | undefined }[] = [];
    let held = 0;
    let timer: NodeJS.Timeout | undefined;
    const flush = () => {
      timer = undefined;
      if (faults.blackhole) return void waiting.add(flush);
      while (queue[0] && queue[0].at <= performance.now()) {
        const { chunk } = queue.shift()!;
        held -= chunk?.length ?? 0;
        if (!alive() || into.destroyed) continue;
        if (chunk) into.write(pass(chunk));
        else into.end();
      }
      if (held < BUFFER && from.isPaused()) from.resume();
      if (queue[0]) timer ??= setTimeout(flush, Math.max(0, queue[0].at - performance.now()));
    };
    from.on('data', (chunk: Buffer) => {
      held += chunk.length;
      queue.push({ at: lane.inOrder(chunk.length), chunk });
      if (held >= BUFFER) from.pause();
      if (!timer) flush();
    });
    from.on('end', () => {
      queue.push({ at: lane.inOrder(0), chunk: undefined });
      if (!timer) flush();
    });
    from.on('close', () => {
      waiting.delete(flush);
      if (from.errored) clearTimeout(timer);
    });
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    set(changed) {
      Object.assign(faults, changed);
      if (faults.blackhole) return;
      for (const flush of [...waiting]) {
        waiting.delete(flush);
        flush();
      }
    },
    cut() {
      const cut = pairs.size;
      for (const [client, tail] of pairs) {
        client.resetAndDestroy();
        tail.resetAndDestroy();
      }
      return cut;
    },
    cutAfter(bytesDown) {
      cutAt = bytesDown;
    },
    flipAt(bytesDown) {
      flip = bytesDown;
    },
    get flipped() {
      return flipped;
    },
    get open() {
      return pairs.size;
    },
    get opened() {
      return opened;
    },
    bytes,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      proxy.cut();
      await closed;
    },
  };
  return proxy;
}
