/** Where each kind of registry takes its secrets from, by the beginning of its schemes. */
const VARIABLES: readonly (readonly [RegExp, string])[] = [
  [/^consul/, 'CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE'],
  [/^(etcd|skydns|coredns)/, 'ETCD_USERNAME, and ETCD_PASSWORD or ETCD_PASSWORD_FILE'],
  [/^rfc2136/, 'RFC2136_TSIG_KEYNAME, and RFC2136_TSIG_SECRET or RFC2136_TSIG_SECRET_FILE'],
];

/** Parameters whose values are secrets, whatever a registry makes of them. */
const SECRET = /[?&#;][^=&]*(token|pass|secret|auth|cred)[^=&]*=/i;

/**
 * Refuses a URI with a user, a password or a token in it. A URI is on the command line, which everybody on the host may
 * read, and in log lines and metrics.
 *
 * @throws Error with one sentence that names the environment variable to use, and nothing of the URI
 */
export function refuseSecrets(scheme: string, uri: string): void {
  // Wherever the @ is: a password may have any characters before it.
  const hasUser = !scheme.endsWith('-unix') && uri.includes('@');
  if (!hasUser && !SECRET.test(uri)) return;
  const [, variable] = VARIABLES.find(([schemes]) => schemes.test(scheme)) ?? [];
  const advice =
    variable === undefined ? 'registrator takes no secret for this registry' : `give it by ${variable} instead`;
  throw new Error(
    `The ${scheme} URI holds a user, a password or a token, which everybody on the host could read: ${advice}.`,
  );
}
