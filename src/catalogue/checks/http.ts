import { STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';
import { HttpClient } from '../../lib/http/index.ts';
import type { Check, Health } from '../../services/index.ts';

/** Milliseconds; timers end there. */
const NEVER = 2 ** 31 - 1;
/** Characters of a response that a check's output keeps. */
const OUTPUT = 4096;

/** Passing for a status of 2xx, warning for 429, else critical, as Consul has it. Rejects without an answer. */
export async function checkHttp(check: Extract<Check, { type: 'http' }>, signal: AbortSignal): Promise<Health> {
  const method = check.method ?? 'GET';
  // A connection of its own each time: a server that takes no new ones is not well.
  const http = new HttpClient({ tls: () => ({ rejectUnauthorized: check.tlsSkipVerify !== true }) });
  try {
    const { status, data } = await http.request<Readable>({
      method,
      url: check.url,
      headers: { 'User-Agent': 'registrator health check', Accept: 'text/plain, text/*, */*', ...headers(check) },
      responseType: 'stream',
      validateStatus: null,
      // The signal says when it is too late.
      timeout: NEVER,
      signal,
    });
    const words = `${status} ${STATUS_CODES[status] ?? ''}`;
    const output = `HTTP ${method} ${check.url}: ${words} Output: ${await start(data, signal)}`;
    if (status >= 200 && status < 300) return { status: 'passing', output };
    return { status: status === 429 ? 'warning' : 'critical', output };
  } finally {
    http.close();
  }
}

const headers = ({ headers: given = {} }: Extract<Check, { type: 'http' }>) =>
  Object.fromEntries(
    // Node takes some headers, Host among them, as one text only.
    Object.entries(given).map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : [...values]]),
  );

/** The beginning of the body; the rest is not waited for. */
async function start(body: Readable, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  const abort = () => body.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= OUTPUT) break;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    body.destroy();
  }
  return Buffer.concat(chunks).toString('utf8').slice(0, OUTPUT);
}
