import ipaddr from 'ipaddr.js';

/** An answer may be so many times as long as its question. */
const FACTOR = 10;
const NEAR: readonly string[] = ['loopback', 'private', 'uniqueLocal', 'linkLocal', 'carrierGradeNat'];

/**
 * Bytes that a datagram to this client may have for a question of this length. The sender of a datagram may be forged: a
 * small question in another's name would send that one a large answer. On the host and its own networks nobody gains by it.
 */
export function mostTo(address: string, questionLength: number): number {
  const isNear = address.startsWith('127.') || NEAR.includes(ipaddr.process(address.replace(/%.*$/, '')).range());
  return isNear ? Number.POSITIVE_INFINITY : FACTOR * questionLength;
}
