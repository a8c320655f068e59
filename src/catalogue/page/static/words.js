/** What things are called. Pure: no document, no state. */

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** `[::1]:80`, `10.0.0.1:53/udp`. */
export function endpoint({ address, port, protocol = 'tcp' }) {
  const at = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  return protocol === 'tcp' ? at : `${at}/${protocol}`;
}

/** Without the registry's host, which says nothing on every line. */
export function shortImage(image) {
  const [first, ...rest] = image.split('/');
  const isHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  return (isHost ? rest.join('/') : image).replace(/@sha256:.*$/, '');
}

/** @param now milliseconds since the epoch, as is `then` */
export function ago(then, now) {
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 3) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** How long, in words: `3 min`. */
export const lasting = (then, now) => ago(then, now).replace(/ ago$/, '').replace('just now', 'a moment');

export const elapsed = (milliseconds) =>
  milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;

const HEALTH = { none: 'no check', elsewhere: 'checked by the registry' };
export const healthWords = (health) => HEALTH[health] ?? health;

const KINDS = {
  up: 'is up',
  gone: 'is gone',
  recreated: 'was recreated',
  updated: 'changed',
  passing: 'is passing',
  warning: 'is in warning',
  critical: 'is critical',
};
export const happened = ({ kind }) => KINDS[kind];

const DIFFERENCES = {
  missing: 'is missing',
  other: 'is there with another content',
  extra: 'is there and not wanted',
  health: 'is there with another health',
  conflict: 'is in conflict',
};
export const differs = ({ kind }) => DIFFERENCES[kind];

/* DNS */

const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;
const isName = (name) => name.length <= 200 && name.split('.').every((label) => LABEL.test(label));
/** Names of tags that are shown; the rest are made alike. */
const TAG_NAMES = 6;

/**
 * The names that DNS resolves for a service, or why it resolves none.
 *
 * @returns {{ names: string[], srv?: string, why: string }} `why` is empty where every instance is in the answer
 */
export function dnsNames({ name, rows }, { dns, catalogue }) {
  if (dns === undefined) {
    return {
      names: [],
      why: catalogue
        ? 'No name resolves: this registrator answers no DNS (its URI says ?dns=off).'
        : 'This registrator answers no DNS itself: names are those of the registry that it writes to.',
    };
  }
  if (!isName(name)) {
    return { names: [], why: 'No name resolves: the service is called what no DNS name can be. Set SERVICE_NAME.' };
  }
  const served = rows.filter(({ health }) => health !== 'critical');
  if (served.length === 0) {
    return {
      names: [],
      why: `No name resolves now: DNS leaves out what is critical, and that is every instance of ${name}.`,
    };
  }
  const zone = `service.${dns.domain}`;
  const tags = [...new Set(served.flatMap((row) => row.tags))].filter((tag) => isName(tag)).slice(0, TAG_NAMES);
  const left = rows.length - served.length;
  return {
    names: [`${name}.${zone}`, ...tags.map((tag) => `${tag}.${name}.${zone}`)],
    srv: `_${name}._tcp.${zone}`,
    why: left === 0 ? '' : `${plural(left, 'instance')} of ${rows.length} left out of the answers: critical.`,
  };
}

/* Links */

const HTTP_PORTS = new Set([80, 3000, 5000, 8000, 8008, 8080, 8081, 8088, 8888, 9000, 9090]);
const HTTPS_PORTS = new Set([443, 8443]);

/** Where a browser would find the instance, if it may speak HTTP at all; undefined otherwise. */
export function webAddress(row) {
  if (row.protocol !== 'tcp') return undefined;
  const checked = row.checks.map(({ what }) => /^(https?):/.exec(what)?.[1]).find((scheme) => scheme !== undefined);
  const says = row.tags.find((tag) => tag === 'http' || tag === 'https');
  const byPort = HTTPS_PORTS.has(row.exposedPort) ? 'https' : HTTP_PORTS.has(row.exposedPort) ? 'http' : undefined;
  const scheme = checked ?? says ?? byPort;
  if (scheme === undefined || !/^[a-z0-9_.:-]+$/i.test(row.address)) return undefined;
  return URL.parse(`${scheme}://${endpoint(row)}/`)?.href;
}
