/** Of Docker's Engine API: the least whose answers are understood here (Docker 20.10), and the newest that was read. */
const LEAST_KNOWN = '1.41';
export const NEWEST_KNOWN = '1.52';

/** What an engine has, as its `/_ping` and `/version` say. */
export interface Offer {
  readonly newest: string;
  /** Known only where it matters: of an engine that is newer than we. */
  readonly least?: string | undefined;
}

/**
 * The version to speak: the lower of both sides' newest, as Docker's own CLI has it.
 *
 * @throws Error with a sentence where there is none that both know
 */
export function commonVersion({ newest, least = '0' }: Offer): string {
  if (isBelow(newest, LEAST_KNOWN)) {
    throw new Error(
      `this engine's API ends at version ${newest}, and registrator needs ${LEAST_KNOWN} (Docker 20.10, Podman 4) or later: update the engine`,
    );
  }
  if (isBelow(NEWEST_KNOWN, least)) {
    throw new Error(
      `this engine's API begins at version ${least}, and registrator knows ${NEWEST_KNOWN} at most: update registrator`,
    );
  }
  return isBelow(newest, NEWEST_KNOWN) ? newest : NEWEST_KNOWN;
}

/** Whether it is written like one: `1.41`. */
export const isVersion = (text: unknown): text is string => typeof text === 'string' && /^\d{1,3}\.\d{1,3}$/.test(text);

export function isBelow(version: string, other: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map(Number);
  return major === otherMajor ? minor < otherMinor : major < otherMajor;
}
