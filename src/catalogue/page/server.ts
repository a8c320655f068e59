import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { type HttpAnswer, type HttpRoute, redirect, sentence } from '../../lib/http/route.ts';
import type { Board } from './board.ts';
import { changes, everything } from './message.ts';

/** The page's own files, shipped as they are. */
const FILES = [
  ['', 'index.html', 'text/html; charset=utf-8'],
  ['page.css', 'page.css', 'text/css; charset=utf-8'],
  ['page.js', 'page.js', 'text/javascript; charset=utf-8'],
  ['details.js', 'details.js', 'text/javascript; charset=utf-8'],
  ['dom.js', 'dom.js', 'text/javascript; charset=utf-8'],
  ['model.js', 'model.js', 'text/javascript; charset=utf-8'],
  ['parts.js', 'parts.js', 'text/javascript; charset=utf-8'],
  ['stream.js', 'stream.js', 'text/javascript; charset=utf-8'],
  ['words.js', 'words.js', 'text/javascript; charset=utf-8'],
  ['icon.svg', 'icon.svg', 'image/svg+xml'],
] as const;

/** The page asks nobody but this server for anything, and stands in nobody else's frame. */
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-cache',
};

/** Milliseconds that changes are gathered for, so that a storm of them is one message. */
const GATHER = 50;
/** Milliseconds between two signs of life: proxies keep the stream, and a page notices that its one is dead. */
const HEARTBEAT = 20_000;
const MAX_WATCHERS = 100;

/** The page at `/ui/`, and what it shows at `/ui/events`. */
export function pageRoutes(board: Board): readonly HttpRoute[] {
  const files = FILES.map(([path, file, type]): HttpRoute => {
    const body = readFileSync(new URL(`static/${file}`, import.meta.url));
    return { path: `/ui/${path}`, answer: () => ({ status: 200, type, headers: HEADERS, body }) };
  });
  return [
    { path: '/ui', answer: () => redirect('ui/') },
    ...files,
    { path: '/ui/events', answer: () => events(board) },
  ];
}

/** A stream of server-sent events: everything at first, then what changed. */
function events(board: Board): HttpAnswer {
  if (board.watchers >= MAX_WATCHERS) return sentence(503, 'Too many pages are open.', { 'Retry-After': '5' });
  const headers = { ...HEADERS, 'X-Accel-Buffering': 'no' };
  return { status: 200, type: 'text/event-stream', headers, body: (response) => follow(board, response) };
}

function follow(board: Board, response: ServerResponse): void {
  const closed = new AbortController();
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    timer = undefined;
    // A reader that is slow gets the latest once it has read the rest: nothing queues up for it.
    if (response.writableNeedDrain) return;
    response.write(message(changes(board, changed)));
    changed.clear();
  };
  const schedule = () => {
    timer ??= setTimeout(flush, GATHER);
  };
  const heart = setInterval(() => response.writableNeedDrain || response.write('event: beat\ndata:\n\n'), HEARTBEAT);
  response.on('drain', schedule);
  response.on('error', () => response.destroy());
  response.once('close', () => {
    closed.abort();
    clearTimeout(timer);
    clearInterval(heart);
  });
  board.listen((key) => {
    if (key !== undefined) changed.add(key);
    schedule();
  }, closed.signal);
  response.write(message(everything(board)));
}

const message = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;
