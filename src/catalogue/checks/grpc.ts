import { once } from 'node:events';
import { connect } from 'node:http2';
import type { Check, Health } from '../../services/index.ts';
import { checkReach, lookUp } from './reach.ts';

/** The standard health protocol's answer for a server that works (grpc.health.v1, HealthCheckResponse). */
const SERVING = 1;
const STATES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
const LONGEST_REPLY = 4096;

/**
 * Passing where the server says SERVING to grpc.health.v1.Health/Check. `target` is `host:port` or `host:port/service`.
 * Rejects where it gives no answer.
 */
export async function checkGrpc(check: Extract<Check, { type: 'grpc' }>, signal: AbortSignal): Promise<Health> {
  signal.throwIfAborted();
  const slash = check.target.indexOf('/');
  const authority = slash === -1 ? check.target : check.target.slice(0, slash);
  const service = slash === -1 ? '' : check.target.slice(slash + 1);
  checkReach(new URL(`http://${authority}`).hostname);
  // Node hands what it does not know itself on to the connection.
  const reach = { lookup: lookUp };
  const session = connect(`${check.useTls ? 'https' : 'http'}://${authority}`, {
    rejectUnauthorized: check.tlsSkipVerify !== true,
    ...reach,
  });
  const failed = once(session, 'error').then(([error]) => Promise.reject(error as Error));
  failed.catch(() => {});
  const abort = () => session.destroy();
  signal.addEventListener('abort', abort, { once: true });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/grpc.health.v1.Health/Check',
    'content-type': 'application/grpc',
    te: 'trailers',
    'user-agent': 'registrator health check',
  });
  try {
    stream.end(message(service));
    const reply = collect(stream);
    reply.catch(() => {});
    const { data, status, error } = await Promise.race([reply, failed]);
    if (status !== '0') throw new Error(`gRPC status ${status}${error === '' ? '' : `: ${error}`}`);
    const state = servingStatus(data);
    const output = `gRPC check ${check.target}: ${STATES[state] ?? state}`;
    return { status: state === SERVING ? 'passing' : 'critical', output };
  } finally {
    signal.removeEventListener('abort', abort);
    session.destroy();
  }
}

async function collect(stream: import('node:http2').ClientHttp2Stream) {
  let status = '';
  let error = '';
  // The status stands in the trailers, or in the headers of a reply without a message.
  const note = (headers: Readonly<Record<string, unknown>>) => {
    const code = headers['grpc-status'];
    if (code !== undefined) status = String(code);
    const words = headers['grpc-message'];
    if (words !== undefined) error = String(words).slice(0, 500);
    const http = headers[':status'];
    if (http !== undefined && http !== 200) error = `HTTP status ${String(http)}`;
  };
  stream.on('response', note);
  stream.on('trailers', note);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > LONGEST_REPLY) throw new Error('the gRPC reply is too long for a health check');
  }
  if (status === '') throw new Error(error === '' ? 'the server ended without a gRPC status' : error);
  return { data: Buffer.concat(chunks), status, error };
}

/** A length-prefixed HealthCheckRequest: field 1, a string. */
function message(service: string): Buffer {
  const name = Buffer.from(service.slice(0, 100));
  // 100 characters are at most 300 bytes, whose length takes two bytes as a varint.
  const length = name.length < 128 ? Buffer.of(name.length) : Buffer.of((name.length & 127) | 128, name.length >> 7);
  const body = name.length === 0 ? name : Buffer.concat([Buffer.of(0x0a), length, name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

/** Field 1 of a HealthCheckResponse, an enumeration; absent means 0. */
function servingStatus(data: Buffer): number {
  const body = data.subarray(5);
  return body.length >= 2 && body[0] === 0x08 ? (body[1] ?? 0) : 0;
}
