import { hash } from 'node:crypto';

/** As host names are (RFC 1123), and not `any`, which is a wildcard to SkyDNS and CoreDNS. */
const LABEL = /^(?!any$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** Names of services may have underscores inside: they resolve, and people ask for them by name. */
export const NAME_LABEL = /^(?!any$)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/;

/** The label of an ID: the ID itself, or, with what is illegal replaced, one that no other ID has. */
export const idLabel = (id: string) => (LABEL.test(id) ? id : cleaned(id));

/** The label of a service's name, under which people look for it: names differ in more than case, as in DNS. */
export function nameLabel(name: string): string {
  const lower = name.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase());
  return NAME_LABEL.test(lower) ? lower : cleaned(name);
}

function cleaned(text: string): string {
  const digest = hash('sha256', Buffer.from(text, 'utf16le'), 'hex').slice(0, 8);
  const readable = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 54)
    .replace(/^-|-$/g, '');
  return readable === '' ? digest : `${readable}-${digest}`;
}
