import { get } from 'node:http';

/** Whether what listens on the socket answers Docker's ping; rejects where it does not answer at all. */
export function dockerPing(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request = get({ socketPath, path: '/_ping', timeout: 2_000, agent: false }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode === 200));
    });
    request.once('error', reject);
    request.once('timeout', () => request.destroy(new Error('the ping got no answer')));
  });
}
