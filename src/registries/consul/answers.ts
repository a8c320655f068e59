import * as v from 'valibot';

/** A service of the agent: `/v1/agent/services`, `/v1/agent/service/:id`. */
export const AGENT_SERVICE = v.object({
  ID: v.string(),
  Service: v.string(),
  Tags: v.nullish(v.pipe(v.array(v.string()), v.readonly())),
  Meta: v.nullish(v.record(v.string(), v.string())),
  Port: v.number(),
  Address: v.string(),
  EnableTagOverride: v.optional(v.boolean()),
});
export type AgentService = v.InferOutput<typeof AGENT_SERVICE>;

/** By ID. */
export const AGENT_SERVICES = v.record(v.string(), AGENT_SERVICE);

/** Of services by ID only what tells whose they are. */
export const SERVICE_MARKS = v.record(v.string(), v.pick(AGENT_SERVICE, ['ID', 'Meta']));

/** Checks of the agent, by ID: `/v1/agent/checks`. `Notes` has the reason of maintenance mode. */
export const AGENT_CHECKS = v.record(
  v.string(),
  v.object({
    CheckID: v.string(),
    Name: v.string(),
    ServiceID: v.string(),
    Status: v.picklist(['passing', 'warning', 'critical']),
    Notes: v.string(),
  }),
);

/** A key of the KV store. `Value` is in base64, null where it is empty. */
const KV_PAIR = v.object({
  Key: v.string(),
  Value: v.nullish(v.string()),
  Flags: v.number(),
  ModifyIndex: v.number(),
  Session: v.optional(v.string()),
});
export type KvPair = v.InferInput<typeof KV_PAIR>;

export const KV_PAIRS = v.array(KV_PAIR);

/** What a transaction on keys did: `/v1/txn`. */
export const KV_TXN = v.object({ Results: v.nullish(v.array(v.object({ KV: KV_PAIR }))) });

/** `/v1/session/create`. */
export const SESSION = v.object({ ID: v.string() });

/** How the complaint about any other answer begins. */
export const NO_CONSUL = 'What answers is not Consul';
