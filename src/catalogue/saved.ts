import * as v from 'valibot';
import type { HealthStatus, Service } from '../services/index.ts';

/** An instance as the snapshot file keeps it. */
export interface Saved {
  readonly service: Service;
  /** What its own check said last. */
  readonly check?: { readonly status: HealthStatus; readonly output: string };
}

/** A number that counts something. */
export const WHOLE = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const TEXT = v.string();
const PORT = v.pipe(WHOLE, v.maxValue(65_535));
const STATUS = v.picklist(['passing', 'warning', 'critical']);
const HEALTH = v.strictObject({ status: STATUS, output: TEXT });

const TIMING = {
  interval: v.exactOptional(TEXT),
  timeout: v.exactOptional(TEXT),
  tlsSkipVerify: v.exactOptional(v.boolean()),
  initialStatus: v.exactOptional(STATUS),
  deregisterAfter: v.exactOptional(TEXT),
};
const CHECK = v.variant('type', [
  v.strictObject({
    type: v.literal('http'),
    url: v.pipe(TEXT, v.regex(/^https?:\/\//)),
    method: v.exactOptional(TEXT),
    headers: v.exactOptional(v.record(TEXT, v.array(TEXT))),
    ...TIMING,
  }),
  v.strictObject({ type: v.literal('tcp'), target: TEXT, ...TIMING }),
  v.strictObject({ type: v.literal('grpc'), target: TEXT, useTls: v.boolean(), ...TIMING }),
  v.strictObject({ type: v.literal('script'), args: v.array(TEXT), ...TIMING }),
  v.strictObject({ type: v.literal('ttl'), ttl: TEXT, ...TIMING }),
  v.strictObject({ type: v.literal('docker'), ttl: TEXT, ...TIMING }),
]);

/** Strict: a field that a later version adds must be added here, or what it says would be lost by a restart. */
const SERVICE = v.strictObject({
  id: TEXT,
  name: TEXT,
  address: TEXT,
  port: PORT,
  protocol: v.picklist(['tcp', 'udp', 'sctp']),
  tags: v.array(TEXT),
  meta: v.record(TEXT, TEXT),
  check: v.exactOptional(CHECK),
  ttl: v.exactOptional(WHOLE),
  weight: v.exactOptional(WHOLE),
  enableTagOverride: v.exactOptional(v.boolean()),
  elsewhere: v.exactOptional(v.literal(true)),
  drain: v.exactOptional(v.literal(true)),
  unready: v.exactOptional(v.literal(true)),
  health: v.exactOptional(HEALTH),
  origin: v.strictObject({
    containerId: TEXT,
    containerName: TEXT,
    image: TEXT,
    exposedPort: PORT,
    startedAt: WHOLE,
    networks: v.exactOptional(v.array(TEXT)),
    sources: v.exactOptional(v.record(TEXT, TEXT)),
  }),
});

export const SAVED: v.GenericSchema<Saved> = v.strictObject({
  service: SERVICE,
  check: v.exactOptional(HEALTH),
});
