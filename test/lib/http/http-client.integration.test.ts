import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpClient, HttpStatusError, type HttpTarget, Transport } from '../../../src/lib/http/index.ts';
import { eventually, eventuallyPasses } from '../../support/eventually.ts';

const { signal } = new AbortController();
let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
const sockets = new Set<Socket>();
const clients: { close(): void }[] = [];

beforeEach(async () => {
  server = createServer({ keepAliveTimeout: 0 }, (request, response) => answer(request, response));
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((closed) => server.close(closed));
});

const port = () => (server.address() as AddressInfo).port;

function client(options: Partial<HttpTarget> = {}): HttpClient {
  const made = new HttpClient({ baseUrl: `http://127.0.0.1:${port()}`, ...options });
  clients.push(made);
  return made;
}

function transport(): Transport {
  const made = new Transport({ baseUrl: `http://127.0.0.1:${port()}`, maxSockets: 1 });
  clients.push(made);
  return made;
}
const get = (over: Transport) =>
  over.exchange({ method: 'GET', path: '/' }, { timeoutMs: 10_000, maxBytes: 1_000 }, signal);

/** Chunks that the server sends, one at a time. */
const inChunks = (response: ServerResponse, chunks: readonly Buffer[]) => {
  const [first, ...rest] = chunks;
  if (first === undefined) response.end();
  else response.write(first, () => setImmediate(() => inChunks(response, rest)));
};

describe('an HTTP client', () => {
  it.each(['normalize', 'get', 'toJSON', 'constructor', '__proto__', 'set-cookie', 'hasOwnProperty'])(
    'gets its answer and the others of its headers beside one that is called %s',
    async (name) => {
      answer = (_, response) => {
        response.socket?.end(`HTTP/1.1 200 OK\r\n${name}: x\r\nLocation: /there\r\nContent-Length: 2\r\n\r\n{}`);
      };
      const { status, data, headers } = await client().get('/', { signal });
      expect([status, data, headers.location]).toEqual([200, {}, '/there']);
    },
  );

  it('sends method, parameters, headers and body, and reads JSON however it comes in pieces', async () => {
    const seen: unknown[] = [];
    answer = async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      seen.push(request.method, request.url, request.headers['content-type'], request.headers['x-a'], body);
      inChunks(
        response,
        [...Buffer.from('{"name":"é€😀"}')].map((byte) => Buffer.of(byte)),
      );
    };
    const request = { params: { a: 'b c' }, headers: { 'X-A': '1' }, signal };
    expect((await client().post('/path', { c: 'd' }, request)).data).toEqual({ name: 'é€😀' });
    expect(seen).toEqual(['POST', '/path?a=b+c', 'application/json', '1', '{"c":"d"}']);
  });

  it('throws the status with the server’s own words', async () => {
    answer = (_, response) => response.writeHead(418).end('no coffee here');
    const error = await client()
      .get('/', { signal })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HttpStatusError);
    expect(error).toMatchObject({ status: 418, message: 'HTTP 418: no coffee here' });
  });

  it('gives up when the time is over, before an answer and in the middle of one, and hangs up', async () => {
    const asked: Socket[] = [];
    for (const begin of ['', '{"half":']) {
      answer = (request, response) => {
        asked.push(request.socket);
        if (begin !== '') response.write(begin);
      };
      await expect(client().get('/', { signal, timeout: 50 })).rejects.toThrow('no answer in time');
    }
    await eventuallyPasses(() => expect(asked.map(({ destroyed }) => destroyed)).toEqual([true, true]));
  });

  it('gives up an answer that has no end', async () => {
    const ended = Promise.withResolvers<void>();
    answer = (_, response) => {
      response.once('close', ended.resolve);
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(10_000)));
      };
      response.on('drain', more);
      more();
    };
    await expect(client({ maxBytes: 1_000_000 }).get('/', { signal })).rejects.toThrow('the answer is too long');
    await ended.promise;
  });

  it('ends with the signal’s reason, also where the request still waits for a connection', async () => {
    answer = () => undefined;
    const one = client({ maxSockets: 1 });
    const controller = new AbortController();
    const first = one.get('/first', { signal });
    const second = one.get('/second', { signal: controller.signal });
    await eventually(() => sockets.size > 0);
    controller.abort(new Error('told to'));
    await expect(second).rejects.toThrow('told to');
    await expect(one.get('/third', { signal: controller.signal })).rejects.toThrow('told to');
    one.close();
    await expect(first).rejects.toThrow();
    await expect(one.get('/fourth', { signal })).rejects.toThrow('the connection was closed');
  });

  it('streams what has begun, until the signal aborts', async () => {
    answer = (request, response) => {
      if (request.url === '/missing') response.writeHead(404).end('{"message":"nothing"}');
      else response.write('first');
    };
    const controller = new AbortController();
    const { data: stream } = await client().get('/events', { responseType: 'stream', signal: controller.signal });
    const read = (async () => {
      for await (const chunk of stream) {
        expect(String(chunk)).toBe('first');
        controller.abort(new Error('told to'));
      }
    })();
    await expect(read).rejects.toThrow('told to');
    await expect(client().get('/missing', { responseType: 'stream', signal })).rejects.toMatchObject({ status: 404 });
    answer = () => undefined;
    await expect(client().get('/silent', { responseType: 'stream', signal, timeout: 50 })).rejects.toThrow(
      'no answer in time',
    );
  });

  it('keeps connections alive, and takes new ones when told that the old may be dead', async () => {
    answer = (_, response) => response.end('{}');
    const one = transport();
    for (let n = 0; n < 3; n += 1) await get(one);
    const [kept] = sockets;
    expect(sockets.size).toBe(1);
    one.renewConnections();
    await get(one);
    await eventuallyPasses(() => expect(kept?.destroyed).toBe(true));
    expect(sockets.size).toBe(1);
  });

  it('tells when the server closes a connection, and not when it closes one itself', async () => {
    answer = (_, response) => response.end('{}');
    const one = transport();
    await get(one);
    const told: string[] = [];
    const lost = one.lost(signal).then((reason) => told.push(reason));
    one.renewConnections();
    await get(one);
    await eventuallyPasses(() => expect(sockets.size).toBe(1));
    expect(told).toEqual([]);
    for (const socket of sockets) socket.destroy();
    await lost;
    expect(told).toEqual(['the server closed the connection']);
  });

  it('asks for its credentials anew at each request, and says why there are none', async () => {
    const seen: unknown[] = [];
    answer = (request, response) => {
      seen.push(request.headers['x-token']);
      response.end();
    };
    let token = 'first';
    const one = client({
      credentials: () => {
        if (token === '') throw new Error('the file of the token cannot be read');
        return { 'X-Token': token };
      },
    });
    await one.get('/', { signal });
    token = 'second';
    await one.get('/', { signal });
    token = '';
    await expect(one.get('/', { signal })).rejects.toThrow(/^the file of the token cannot be read$/);
    expect(seen).toEqual(['first', 'second']);
  });

  it('sends a path as it is written, and never to another server', async () => {
    const seen: unknown[] = [];
    answer = (request, response) => {
      seen.push(request.url);
      response.end();
    };
    const one = client();
    const paths = ['/a/../b%2Fc', '//other.example/x', 'http://other.example/'];
    for (const path of paths) await one.get(path, { signal });
    expect(seen).toEqual(paths);
  });

  it('without a server of its own takes whole URLs, and follows redirects', async () => {
    answer = (request, response) => {
      if (request.url === '/from?x=1') response.writeHead(302, { location: '/to' }).end();
      else response.writeHead(404).end('words');
    };
    const one = new HttpClient({});
    clients.push(one);
    const request = { responseType: 'text', validateStatus: null, signal } as const;
    const { status, data } = await one.get(`http://127.0.0.1:${port()}/from?x=1`, request);
    expect([status, data]).toEqual([404, 'words']);
  });

  it('goes over any stream', async () => {
    answer = (request, response) => response.end(JSON.stringify({ path: request.url }));
    const viaDial = client({ baseUrl: 'http://127.0.0.1:1', dial: () => connect(port(), '127.0.0.1') });
    expect((await viaDial.get('/here', { signal })).data).toEqual({ path: '/here' });
  });
});
