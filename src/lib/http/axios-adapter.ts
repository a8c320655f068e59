import {
  type AxiosAdapter,
  AxiosError,
  AxiosHeaders,
  type AxiosResponse,
  type InternalAxiosRequestConfig,
  type ResponseType,
} from 'axios';
import type { StreamedAnswer, Transport, TransportRequest } from './transport.ts';

/** What axios sends its requests with, over a transport: it has the time limits, the signal and the limit on what is read. */
export function axiosAdapter(transport: Transport): AxiosAdapter {
  return async (config) => {
    const { signal, timeout = 0, maxContentLength = 0 } = config;
    if (!(signal instanceof AbortSignal)) throw new Error('a request needs a signal to end on');
    const request = written(config);
    if (config.responseType === 'stream') {
      const { body, ...head } = await transport.stream(request, timeout, signal);
      return settled(config, head, body);
    }
    const limits = { timeoutMs: timeout, maxBytes: maxContentLength };
    const { text, ...head } = await transport.exchange(request, limits, signal);
    return settled(config, head, read(text, config.responseType));
  };
}

function written(config: InternalAxiosRequestConfig): TransportRequest {
  const { baseURL, url = '', params, method = 'get', headers, data = null } = config;
  // Axios names a type for every PUT, with a body or without.
  if (data === null) headers.delete('Content-Type');
  const request = {
    method: method.toUpperCase() as 'GET',
    headers: headers.toJSON() as Record<string, string>,
    body: data,
  };
  const query = params === undefined ? '' : `?${params}`;
  // As it is written: a URL that is read and put together again would be without its `..`.
  if (baseURL !== undefined) return { ...request, path: `${url}${query}` };
  const { origin, pathname, search } = new URL(`${url}${query}`);
  return { ...request, origin, path: `${pathname}${search}` };
}

function settled(
  config: InternalAxiosRequestConfig,
  { status, headers }: Pick<StreamedAnswer, 'status' | 'headers'>,
  data: unknown,
): AxiosResponse {
  const response = { data, status, statusText: '', headers: asAxiosHeaders(headers), config };
  if (config.validateStatus?.(status) !== false) return response;
  throw new AxiosError(`HTTP ${status}`, undefined, config, undefined, response);
}

/** As they came, in lower case: axios would read each of them once more, a third of what it costs. */
function asAxiosHeaders(headers: StreamedAnswer['headers']): AxiosHeaders {
  const answered = new AxiosHeaders();
  for (const name in headers) {
    // One that is called as a method would be in its place.
    if (!(name in answered)) answered[name] = headers[name] ?? null;
  }
  return answered;
}

/** JSON where it is some, else the words; words alone with the `responseType` "text". */
function read(text: string, type: ResponseType | undefined): unknown {
  // Nothing is what most writes are answered with; an error thrown for each took a tenth of a cold start.
  if (text === '' || type === 'text') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
