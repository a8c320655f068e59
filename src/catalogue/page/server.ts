import { readFileSync } from 'node:fs';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Board, Row } from './board.ts';

/** The page's own files, shipped as they are. */
const FILES = [
  ['', 'index.html', 'text/html; charset=utf-8'],
  ['page.css', 'page.css', 'text/css; charset=utf-8'],
  ['page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['icon.svg', 'icon.svg', 'image/svg+xml'],
] as const;

/** The page asks nobody but this server for anything, and stands in nobody else's frame. */
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-cache',
};

/** Milliseconds that changes are gathered for, so that a storm of them is one message. */
const GATHER = 50;
/** Milliseconds between two signs of life, so that proxies keep the stream and dead ones are noticed. */
const HEARTBEAT = 20_000;
const MAX_WATCHERS = 100;

/** Serves the page at `/ui/`, and what it shows at `/ui/events`. */
export function servePage(app: FastifyInstance, board: Board): void {
  app.get('/ui', (_, reply) => reply.redirect('ui/'));
  for (const [path, file, type] of FILES) {
    const content = readFileSync(new URL(`static/${file}`, import.meta.url));
    app.get(`/ui/${path}`, (_, reply) => reply.headers(HEADERS).type(type).send(content));
  }
  app.get('/ui/events', { exposeHeadRoute: false }, (_, reply) => watch(board, reply));
}

/** A stream of server-sent events: everything at first, then what changed. */
function watch(board: Board, reply: FastifyReply): FastifyReply {
  if (board.watchers >= MAX_WATCHERS) {
    return reply.code(503).header('Retry-After', '5').type('text/plain').send('Too many pages are open.');
  }
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
  const closed = new AbortController();
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    timer = undefined;
    // A reader that is slow gets the latest once it has read the rest: nothing queues up for it.
    if (raw.writableNeedDrain) return;
    raw.write(message(changes(board, changed)));
    changed.clear();
  };
  const schedule = () => {
    timer ??= setTimeout(flush, GATHER);
  };
  const heart = setInterval(() => raw.writableNeedDrain || raw.write(':\n\n'), HEARTBEAT);
  raw.on('drain', schedule);
  raw.on('error', () => raw.destroy());
  raw.once('close', () => {
    closed.abort();
    clearTimeout(timer);
    clearInterval(heart);
  });
  board.listen((key) => {
    if (key !== undefined) changed.add(key);
    schedule();
  }, closed.signal);
  raw.write(`retry: 1000\n${message({ ...changes(board), all: true })}`);
  return reply;
}

const message = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;

function changes(board: Board, keys?: ReadonlySet<string>) {
  const rows: Row[] = [];
  const gone: string[] = [];
  for (const key of keys ?? []) {
    const row = board.row(key);
    if (row === undefined) gone.push(key);
    else rows.push(row);
  }
  const { about, recent, registries } = board;
  return { ...about, rows: keys === undefined ? [...board.rows] : rows, gone, recent, registries, now: Date.now() };
}
