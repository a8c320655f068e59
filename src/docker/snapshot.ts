/**
 * A container as it is at one moment: the part of Docker's inspection that services are derived from, in Docker's own
 * field names (Engine API 1.41, `GET /containers/{id}/json`), so that `--tags` templates read it as they always did.
 */
export interface ContainerSnapshot {
  readonly Id: string;
  /** With Docker's leading slash. */
  readonly Name: string;
  /** The image's content ID, `sha256:…`. */
  readonly Image: string;
  readonly Config: {
    readonly Hostname?: string;
    readonly Image: string;
    readonly Env?: readonly string[] | null;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly ExposedPorts?: Readonly<Record<string, unknown>> | null;
    readonly [field: string]: unknown;
  };
  readonly State: {
    /** `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`. */
    readonly Status: string;
    readonly Running: boolean;
    readonly Paused: boolean;
    readonly Restarting?: boolean;
    readonly ExitCode: number;
    readonly StartedAt?: string;
    readonly Health?: {
      readonly Status?: string;
      readonly Log?: readonly { readonly ExitCode: number; readonly Output: string }[] | null;
    } | null;
    readonly [field: string]: unknown;
  };
  readonly HostConfig: { readonly NetworkMode: string; readonly [field: string]: unknown };
  readonly NetworkSettings: {
    readonly IPAddress?: string;
    readonly GlobalIPv6Address?: string;
    readonly Ports?: Readonly<Record<string, readonly PortBinding[] | null>> | null;
    readonly Networks?: Readonly<Record<string, NetworkEndpoint>> | null;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

export interface PortBinding {
  readonly HostIp: string;
  readonly HostPort: string;
}

interface NetworkEndpoint {
  readonly IPAddress?: string;
  readonly GlobalIPv6Address?: string;
  readonly [field: string]: unknown;
}
