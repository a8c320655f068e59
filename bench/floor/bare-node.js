/** What Node itself takes: one HTTP server, and one request made. */
import { createServer } from 'node:http';

const server = createServer((_, response) => response.end('ok'));
server.listen(0, '127.0.0.1', async () => {
  const { port } = server.address();
  await (await fetch(`http://127.0.0.1:${port}/`)).text();
  process.stdout.write('looked at every container\n');
});
