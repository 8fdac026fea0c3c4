// The table on which faults are tried: a real tail with a certificate, its TCP and its UDP port behind one proxy each, both
// on the same number, and a client whose every byte goes through them.
import { join } from 'node:path';
import { WebTransport } from 'rwebtransport';
import { drawnPicture, type TinyModel, tinyModel } from '../../src/client/tinyModel.fixture.ts';
import type { ConnectOptions, Session } from '../../src/client/types.ts';
import { connect } from '../../src/index.node.ts';
import { createTailServer, type TailServer } from '../../src/tail/index.ts';
import { makeDevCertificate } from '../../src/tail/listen/devCertificate.ts';
import type { LinkFaults } from './link.ts';
import { type TcpProxy, tcpProxy } from './tcpProxy.ts';
import { type UdpProxy, udpProxy } from './udpProxy.ts';

export interface FaultBench extends AsyncDisposable {
  readonly model: TinyModel;
  readonly tail: TailServer;
  readonly tcp: TcpProxy;
  readonly udp: UdpProxy;
  readonly photo: Uint8Array;
  /** Address of the model behind the proxies. */
  readonly address: string;
  /** Both proxies. */
  set(faults: Partial<LinkFaults>): void;
  connect(options: ConnectOptions): Promise<Session>;
}

export async function faultBench(): Promise<FaultBench> {
  const model = await tinyModel();
  const tls = await makeDevCertificate(join(model.folder, '.certificate'));
  const tail = await createTailServer({
    models: model.folder,
    port: 0,
    logger: false,
    threads: 1,
    tls,
    modelGraceMs: 0,
  });
  const tcp = await tcpProxy(tail.port);
  const udp = await udpProxy(tail.port, { port: tcp.port });
  const address = `http://127.0.0.1:${tcp.port}/models/tiny`;
  return {
    ...{ model, tail, tcp, udp, address },
    photo: await drawnPicture(),
    set(faults) {
      tcp.set(faults);
      udp.set(faults);
    },
    connect: (options) =>
      connect(address, {
        webTransport: WebTransport as NonNullable<ConnectOptions['webTransport']>,
        ...options,
      }),
    async [Symbol.asyncDispose]() {
      await tcp[Symbol.asyncDispose]();
      await udp[Symbol.asyncDispose]();
      await tail.close({ graceMs: 500 });
      await model[Symbol.asyncDispose]();
    },
  };
}
