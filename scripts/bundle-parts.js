// Plugins of esbuild that keep out of the bundle, and of memory, what registrator never uses of its dependencies: at rest
// it is to be little more than Node itself. `npm run bench -- rest` shows what they do.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

/** Nothing in place of a module. */
const nothing = { contents: 'export default undefined; export const getFetch = undefined;' };

/** What of undici is used, instead of all of it. HTTP/2 is not: no server here speaks it with us. */
const undiciParts = {
  name: 'undici-parts',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^undici$/ }, () => ({ path: resolve('scripts/undici-parts.cjs') }));
    onLoad({ filter: /undici\/lib\/dispatcher\/client-h2\.js$/ }, () => ({ contents: '' }));
  },
};

/**
 * Axios without its own ways to send, in whose place src/lib/http is, and without forms. It asks for the globals `Request`
 * and `FormData` when it is loaded: with them Node loads a whole second HTTP client, 10 MB that nobody would use.
 */
const axiosParts = {
  name: 'axios-parts',
  setup({ onLoad }) {
    const unused = /axios\/lib\/(adapters\/(http|xhr|fetch)|platform\/node\/classes\/FormData)\.js$/;
    onLoad({ filter: unused }, () => nothing);
    onLoad({ filter: /axios\/lib\/utils\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const contents = text.replace("typeof G.FormData !== 'undefined' ? G.FormData : undefined", 'undefined');
      if (contents === text)
        throw new Error('axios asks for FormData in another way now: see scripts/bundle-parts.js.');
      return { contents };
    });
  },
};

/**
 * `node:http` without its `WebSocket`: to import the module by name makes Node evaluate all that it exports, and with that
 * one comes the same second HTTP client.
 */
const nodeHttp = {
  name: 'node-http',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?http$/ }, ({ path }) => ({ path, namespace: 'node-http' }));
    onLoad({ filter: /.*/, namespace: 'node-http' }, () => ({
      contents: "module.exports = process.getBuiltinModule('node:http');",
    }));
  },
};

/** Regular expressions of `--tags` in a file of their own, read when the first is evaluated: its tables take 2 MB. */
const lateRe2 = {
  name: 'late-re2',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^re2js$/ }, ({ path }) => ({ path, namespace: 'late-re2' }));
    onResolve({ filter: /^\.\/re2js\.cjs$/ }, ({ path }) => ({ path, external: true }));
    onLoad({ filter: /.*/, namespace: 'late-re2' }, () => ({
      contents: "module.exports = { get RE2JS() { return require('./re2js.cjs').RE2JS; } };",
    }));
  },
};

/** pino's threads, which write elsewhere than to stdout, and dockerode's compression of what it never uploads. */
const unusedParts = {
  name: 'unused-parts',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(thread-stream|zlib)$/ }, ({ path, importer }) =>
      /node_modules\/(pino|dockerode)\//.test(importer) ? { path, namespace: 'unused' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {};' }));
  },
};

export const parts = [undiciParts, axiosParts, nodeHttp, lateRe2, unusedParts];
