import fc from 'fast-check';
import type { HealthStatus } from '../../support/simulated-container.ts';

/** What a container is made as; see host.ts for what each means. */
const KINDS = [
  'plain',
  'pair',
  'named',
  'checked',
  'ignored',
  'own-id',
  'shared-id',
  'internal',
  'on-host',
  'joiner',
] as const;
export type Kind = (typeof KINDS)[number];

/** One step of a sequence. A step that does not fit, such as to stop what does not run, does nothing. */
export type Step =
  | { readonly do: 'run'; readonly name: string; readonly kind: Kind; readonly id?: string }
  | {
      readonly do: 'start' | 'stop' | 'kill' | 'restart' | 'pause' | 'unpause' | 'remove' | 'crash';
      readonly name: string;
    }
  | { readonly do: 'die'; readonly name: string; readonly exitCode: number }
  | { readonly do: 'rename'; readonly name: string; readonly to: string }
  | { readonly do: 'connect' | 'disconnect'; readonly name: string; readonly network: string }
  | { readonly do: 'health'; readonly name: string; readonly status: HealthStatus }
  | {
      readonly do: 'events';
      readonly drop: number;
      readonly double: number;
      readonly reorder: number;
      readonly delay: number;
    }
  | { readonly do: 'cut'; readonly gracefully: boolean }
  | {
      readonly do: 'docker';
      readonly state: 'down' | 'stalled' | 'failing' | 'slow' | 'well';
      readonly forgetful: boolean;
    }
  | { readonly do: 'registry'; readonly state: 'down' | 'stalled' | 'slow' | 'refusing' | 'well' | 'emptied' }
  | { readonly do: 'foreign'; readonly slot: number; readonly port: number }
  | { readonly do: 'foreign goes'; readonly slot: number }
  /** Every note of whose an entry is, is lost. */
  | { readonly do: 'claims' }
  /** An operator's maintenance mode for this container's ordinary ID. */
  | { readonly do: 'maintenance'; readonly name: string; readonly on: boolean }
  | { readonly do: 'address'; readonly address: string }
  | { readonly do: 'token' }
  /** A machine that was cloned from ours comes up; or another engine on this host, with a registrator of its own. */
  | { readonly do: 'beside'; readonly who: 'twin' | 'namesake' }
  | { readonly do: 'kill registrator' }
  | { readonly do: 'wait'; readonly ms: number };

const name = fc.constantFrom('a', 'b', 'c', 'd');
const anyName = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
const chance = fc.constantFrom(0, 0, 0.5, 1);
const just = <T extends string>(...words: T[]) => fc.constantFrom(...words);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: just('run'), name, kind: fc.constantFrom(...KINDS) }) },
  {
    weight: 10,
    arbitrary: fc.record({
      do: just('start', 'stop', 'kill', 'restart', 'pause', 'unpause', 'remove', 'crash'),
      name: anyName,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: just('die'), name: anyName, exitCode: fc.constantFrom(0, 1, 137) }) },
  { weight: 2, arbitrary: fc.record({ do: just('rename'), name: anyName, to: anyName }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: just('connect', 'disconnect'),
      name: anyName,
      network: fc.constantFrom('bridge', 'back', 'front'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: just('health'),
      name: anyName,
      status: fc.constantFrom<HealthStatus>('starting', 'healthy', 'unhealthy'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: just('events'),
      drop: chance,
      double: chance,
      reorder: chance,
      delay: fc.constantFrom(0, 0, 5, 50),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: just('cut'), gracefully: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: just('docker'),
      state: just('down', 'stalled', 'failing', 'slow', 'well', 'well'),
      forgetful: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: just('registry'),
      state: just('down', 'stalled', 'slow', 'refusing', 'well', 'well', 'emptied'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: just('foreign'), slot: fc.nat(5), port: fc.integer({ min: 1, max: 65_535 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: just('foreign goes'), slot: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: just('claims') }) },
  { weight: 2, arbitrary: fc.record({ do: just('maintenance'), name: anyName, on: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: just('address'), address: fc.constantFrom('10.9.8.7', '10.9.8.5') }) },
  { weight: 1, arbitrary: fc.record({ do: just('token') }) },
  { weight: 1, arbitrary: fc.record({ do: just('beside'), who: just('twin', 'namesake') }) },
  { weight: 1, arbitrary: fc.record({ do: just('kill registrator') }) },
  { weight: 6, arbitrary: fc.record({ do: just('wait'), ms: fc.constantFrom(0, 2, 10, 30, 80) }) },
);

export const sequence: fc.Arbitrary<readonly Step[]> = fc.array(step, { minLength: 3, maxLength: 30, size: 'max' });
