// HEALTHCHECK: is the event loop alive? Whether registries answer is no reason to have registrator restarted.
import { statSync } from 'node:fs';
import { heartbeatFile, heartbeatSeconds } from './heartbeat.js';

const seconds = (Date.now() - statSync(heartbeatFile).mtimeMs) / 1000;
console.log(`last heartbeat ${seconds.toFixed(1)} s ago`);
process.exitCode = seconds < 4 * heartbeatSeconds ? 0 : 1;
