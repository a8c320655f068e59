import type { Check } from './service.ts';

/** A check in a few words: what it asks. */
export function describeCheck(check: Check): string {
  switch (check.type) {
    case 'http':
      return check.url;
    case 'tcp':
    case 'grpc':
      return `${check.type} ${check.target}`;
    case 'script':
      return `script ${check.args.join(' ')}`;
    case 'ttl':
      return `ttl ${check.ttl}`;
    case 'docker':
      return "Docker's health";
  }
}
