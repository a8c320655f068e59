import { STATUS_CODES } from 'node:http';
import type { Readable } from 'node:stream';
import { HttpClient } from '../../lib/http/index.ts';
import type { Check, Health } from '../../services/index.ts';
import { checkReach, lookUp } from './reach.ts';

/** Milliseconds; timers end there. */
const NEVER = 2 ** 31 - 1;
/** Characters of a response that a check's output keeps. */
const OUTPUT = 4096;

const MAX_REDIRECTS = 10;

/**
 * Passing for a status of 2xx, warning for 429, else critical, as Consul has it. Redirects are followed on the same server
 * only: the service's own. Rejects without an answer.
 */
export async function checkHttp(check: Extract<Check, { type: 'http' }>, signal: AbortSignal): Promise<Health> {
  const method = check.method ?? 'GET';
  const { origin, hostname } = new URL(check.url);
  checkReach(hostname);
  // A connection of its own each time: a server that takes no new ones is not well.
  const http = new HttpClient({
    baseUrl: origin,
    lookup: lookUp,
    tls: () => ({ rejectUnauthorized: check.tlsSkipVerify !== true }),
  });
  let url = new URL(check.url);
  try {
    for (let redirects = 0; ; redirects += 1) {
      const answer = await http.request<Readable>({
        method,
        url: `${url.pathname}${url.search}`,
        headers: { 'User-Agent': 'registrator health check', Accept: 'text/plain, text/*, */*', ...headers(check) },
        responseType: 'stream',
        validateStatus: null,
        // The signal says when it is too late.
        timeout: NEVER,
        signal,
      });
      const { status, data } = answer;
      const next = redirected(status, answer.headers.location, url);
      if (next?.origin === origin) {
        drop(data);
        if (redirects === MAX_REDIRECTS) throw new Error(`more than ${MAX_REDIRECTS} redirects`);
        url = next;
        continue;
      }
      const words = `${status} ${STATUS_CODES[status] ?? ''}`;
      // What another server would say, the service's own does not.
      const body =
        next === undefined ? await start(data, signal) : 'a redirect to another server, which is not followed';
      drop(data);
      const output = `HTTP ${method} ${check.url}: ${words} Output: ${body}`;
      if (status >= 200 && status < 300) return { status: 'passing', output };
      return { status: status === 429 ? 'warning' : 'critical', output };
    }
  } finally {
    http.close();
  }
}

function drop(body: Readable): void {
  body.on('error', () => undefined).destroy();
}

function redirected(status: number, location: unknown, from: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || typeof location !== 'string') return undefined;
  return URL.canParse(location, from.href) ? new URL(location, from) : undefined;
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
