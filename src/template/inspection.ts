import { record } from '../lib/read.ts';
import { type IsMap, isObject } from './values.ts';

/** A map in Docker's inspection; every other object is a struct, whose fields are fixed. */
const MAP = Symbol('map');

type Zero = string | number | boolean | readonly unknown[] | typeof MAP | { readonly [field: string]: Zero };

/**
 * The fields that templates are written against, as the Go client of gliderlabs/registrator knew them, with the values
 * that they have there when an engine leaves them out.
 */
const ZERO: { readonly [field: string]: Zero } = {
  Id: '',
  Name: '',
  Created: '',
  Path: '',
  Args: [],
  Image: '',
  Driver: '',
  LogPath: '',
  RestartCount: 0,
  Mounts: [],
  Config: {
    Hostname: '',
    Domainname: '',
    User: '',
    Image: '',
    WorkingDir: '',
    Env: [],
    Cmd: [],
    Entrypoint: [],
    Labels: MAP,
    ExposedPorts: MAP,
    Volumes: MAP,
  },
  State: {
    Status: '',
    Running: false,
    Paused: false,
    Restarting: false,
    OOMKilled: false,
    Dead: false,
    Pid: 0,
    ExitCode: 0,
    Error: '',
    StartedAt: '',
    FinishedAt: '',
    Health: { Status: '', FailingStreak: 0, Log: [] },
  },
  HostConfig: { NetworkMode: '', Privileged: false, Binds: [], PortBindings: MAP, Sysctls: MAP, Tmpfs: MAP },
  NetworkSettings: {
    IPAddress: '',
    IPPrefixLen: 0,
    Gateway: '',
    MacAddress: '',
    GlobalIPv6Address: '',
    GlobalIPv6PrefixLen: 0,
    IPv6Gateway: '',
    Ports: MAP,
    Networks: MAP,
  },
};

/** A container's inspection, as Docker answers it. */
export type Inspected = Readonly<Record<string, unknown>>;

export interface Inspection {
  readonly root: unknown;
  readonly isMap: IsMap;
}

/** Each of a container's labels may ask for it. */
const known = new WeakMap<Inspected, Inspection>();

export function inspectionOf(snapshot: Inspected): Inspection {
  const answer = record(snapshot);
  const inspection = known.get(answer) ?? inspect(answer);
  known.set(answer, inspection);
  return inspection;
}

function inspect(snapshot: Inspected): Inspection {
  const maps = new WeakSet<object>();
  return { root: complete(snapshot, ZERO), isMap: (value) => maps.has(value) };

  function complete(value: unknown, zero: Zero): unknown {
    if (zero === MAP) {
      const map = record(value);
      maps.add(map);
      return map;
    }
    if (!isObject(zero))
      return typeof value === typeof zero && Array.isArray(value) === Array.isArray(zero) ? value : zero;
    const fields = Object.entries(zero).map(([field, empty]) => [field, complete(record(value)[field], empty as Zero)]);
    return { ...record(value), ...Object.fromEntries(fields) };
  }
}
