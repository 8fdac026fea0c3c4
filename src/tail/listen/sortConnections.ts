// Plain HTTP and TLS on one port: the first byte of a connection tells them apart (a TLS record begins with 22, RFC 8446,
// 5.1; a method with a letter). Plain HTTP from this machine is served, from elsewhere sent to https.
import { createServer, type Server as HttpServer } from 'node:http';
import { type BlockList, BlockList as Blocks, isIPv4, type Server, type Socket } from 'node:net';

const TLS_HANDSHAKE = 22;

interface Targets {
  plain: Server;
  redirect: Server;
  secure: Server;
  /** A connection that says nothing for so long is closed. */
  firstByteMs: number;
}

export function sortByFirstByte({
  plain,
  redirect,
  secure,
  firstByteMs,
}: Targets): (socket: Socket, sorted: () => void) => void {
  return (socket, sorted) => {
    const silent = setTimeout(() => socket.destroy(), firstByteMs);
    const ignore = () => undefined;
    socket.on('error', ignore);
    socket.once('close', () => clearTimeout(silent));
    socket.once('end', () => socket.end()); // a client that leaves without a word: ours is half-open until then
    socket.once('data', (chunk: Buffer) => {
      clearTimeout(silent);
      sorted();
      socket.pause();
      socket.unshift(chunk);
      socket.removeAllListeners('end');
      const target =
        chunk[0] === TLS_HANDSHAKE ? secure : isLoopback(socket.remoteAddress) ? plain : redirect;
      target.emit('connection', socket);
      socket.off('error', ignore);
      // After the server has put its own listeners on it; unread bytes come first then.
      process.nextTick(() => socket.resume());
    });
  };
}

/** Answers everything with its https address. 308 keeps method and body, RFC 9110, 15.4.9. */
export function redirectToTls(headersTimeoutMs: number): HttpServer {
  const options = {
    headersTimeout: headersTimeoutMs,
    requestTimeout: headersTimeoutMs,
    connectionsCheckingInterval: Math.min(2000, headersTimeoutMs),
  };
  return createServer(options, ({ headers, url = '/' }, response) => {
    // As one text: `//elsewhere/` as a relative address would be another host.
    const target = URL.parse(`https://${headers.host ?? ''}${url.startsWith('/') ? url : '/'}`);
    response.setHeader('connection', 'close');
    if (target && headers.host) response.writeHead(308, { location: target.href }).end();
    else response.writeHead(400).end();
  });
}

const loopback: BlockList = new Blocks();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** This machine itself, also as IPv6 sees IPv4. */
export function isLoopback(address: string | undefined): boolean {
  if (!address) return false;
  const plain = address.replace(/^::ffff:/i, '');
  return loopback.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6');
}
