import { Agent, type IncomingMessage, type RequestOptions, request } from 'node:http';

/** The leanest HTTP client that Node has: one keep-alive agent, no timeouts, nothing checked but the status. */
export class LeanClient {
  readonly #target: RequestOptions;

  /** @param target `{ socketPath }` or `{ host, port }` */
  constructor(target: RequestOptions, maxSockets = Number.POSITIVE_INFINITY) {
    this.#target = { ...target, agent: new Agent({ keepAlive: true, maxSockets }) };
  }

  send(method: string, path: string, body?: string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const sent = request({ ...this.#target, method, path, headers: headers(body) }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const answer = Buffer.concat(chunks);
          if (response.statusCode === 200) resolve(answer);
          else reject(new Error(`${method} ${path}: ${response.statusCode} ${answer}`));
        });
      });
      sent.once('error', reject);
      sent.end(body);
    });
  }

  stream(path: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      request({ ...this.#target, agent: false, path }, resolve)
        .once('error', reject)
        .end();
    });
  }
}

function headers(body: string | undefined): Record<string, string | number> {
  return body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
}
