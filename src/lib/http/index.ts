export { HttpClient, type HttpRequest, HttpStatusError, type HttpTarget } from './http-client.ts';
