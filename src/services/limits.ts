/** What one container gets, however much its labels ask for: others are on the same host, and in the same registry. */

/** Services of one container, and candidate ports. */
export const MAX_SERVICES = 1_000;
/** Labels and variables that begin with `SERVICE_`, and those among them that are about a range of ports. */
export const MAX_FIELDS = 5_000;
export const MAX_RANGES = 64;
/** Host ports of one port, and networks of a container. */
export const MAX_BINDINGS = 64;
export const MAX_NETWORKS = 256;
/** Bytes of a service's name, and of its ID. */
export const MAX_NAME = 255;
/** Bytes of a tag, and tags of a service. */
export const MAX_TAG = 1_000;
export const MAX_TAGS = 1_000;
/** As Consul has them (its agent/structs: ValidateMetadata): pairs, and characters of a key and of a value. */
export const MAX_META_PAIRS = 64;
export const MAX_META_KEY = 128;
export const MAX_META_VALUE = 512;
/** Characters of a command, a check's path, and a list of headers. */
export const MAX_CHECK_TEXT = 4_096;

/** Whether a text has more than so many bytes. */
export const isOver = (bytes: number, text: string) => text.length > bytes || Buffer.byteLength(text) > bytes;
