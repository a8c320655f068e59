import { asError } from '../lib/as-error.ts';

/** The catalogue's address is taken, or not ours to take. The message is a sentence that says what to do. */
export class AddressInUseError extends Error {
  override readonly name = 'AddressInUseError';
}

/**
 * What went wrong in binding, for a person.
 *
 * @param instead a registry URI that would do
 */
export function listenError(error: unknown, host: string, port: number, instead: string): Error {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new AddressInUseError(
      `Port ${port} on ${host} is taken, perhaps by a Consul agent or another registrator: choose another with ${instead}`,
    );
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new AddressInUseError(
      `Port ${port} on ${host} needs rights that this process does not have: choose a port above 1023, as in ${instead}`,
    );
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return new AddressInUseError(
      `This host has no address ${host}: bind the catalogue to one that it has, as in memory://127.0.0.1:8500`,
    );
  }
  return asError(error);
}
