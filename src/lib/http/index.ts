export { HttpClient, type HttpTarget } from './http-client.ts';
export { HttpStatusError } from './http-status-error.ts';
export { type Destination, type Tls, Transport } from './transport.ts';
