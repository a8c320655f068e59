import { type Field, type PortFields, refuse } from './fields.ts';
import { MAX_CHECK_TEXT } from './limits.ts';
import type { Report } from './report.ts';

type Headers = Readonly<Record<string, readonly string[]>>;

/**
 * SERVICE_CHECK_HTTP_HEADER: `Name: value|Name: value`, or a JSON object of texts or lists of texts, as Consul's own
 * `header` field is written.
 */
export function parseHeaders(fields: PortFields, report: Report): Headers | undefined {
  const field = fields.get('check_http_header');
  if (field === undefined || field.value === '') return undefined;
  if (!parsed.has(field)) parsed.set(field, parse(field, report));
  return parsed.get(field);
}

/** One label may be about thousands of ports. */
const parsed = new WeakMap<Field, Headers | undefined>();

function parse(field: Field, report: Report): Headers | undefined {
  if (field.value.length > MAX_CHECK_TEXT) {
    refuse(field, `longer than ${MAX_CHECK_TEXT} characters`, report);
    return undefined;
  }
  const pairs = field.value.trim().startsWith('{') ? jsonPairs(field.value) : textPairs(field.value);
  if (pairs === undefined || !pairs.every(isHeader)) {
    refuse(field, 'no list of HTTP headers such as "Host: example.com|X-Probe: yes"', report);
    return undefined;
  }
  const headers = Map.groupBy(pairs, ([name]) => name);
  return Object.fromEntries([...headers].map(([name, values]) => [name, values.map(([, value]) => value)]));
}

type Pair = readonly [string, string];

function textPairs(text: string): readonly Pair[] {
  return text
    .split('|')
    .filter((entry) => entry.trim() !== '')
    .map((entry) => {
      const [name = ''] = entry.split(':', 1);
      return [name.trim(), entry.slice(name.length + 1).trim()];
    });
}

function jsonPairs(text: string): readonly Pair[] | undefined {
  let headers: unknown;
  try {
    headers = JSON.parse(text);
  } catch {
    return undefined;
  }
  const pairs = Object.entries(headers ?? {}).flatMap(([name, values]: [string, unknown]) =>
    (Array.isArray(values) ? values : [values]).map((value: unknown): [string, unknown] => [name, value]),
  );
  return pairs.every((pair): pair is [string, string] => typeof pair[1] === 'string') ? pairs : undefined;
}

/** A token for a name, and nothing that could begin another header (RFC 9110, 5.1 and 5.5). */
function isHeader([name, value]: Pair): boolean {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(name) && !/\p{Cc}/u.test(value.replaceAll('\t', ' '));
}
