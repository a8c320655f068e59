import type { ContainerSnapshot } from '../docker/index.ts';
import { splitAtCommas } from '../lib/commas.ts';
import { quote } from '../lib/quote.ts';
import { type Budget, BudgetError, type TagResult, type TagTemplate } from '../template/index.ts';
import type { ContainerPort } from './container.ts';
import type { Field, PortFields } from './fields.ts';
import { isOver, MAX_TAG, MAX_TAGS } from './limits.ts';
import type { Report } from './report.ts';

interface Source {
  readonly snapshot: ContainerSnapshot;
  /** `--tags`. */
  readonly template: TagTemplate | undefined;
  readonly fetched: ReadonlyMap<string, string>;
  /** The container's, whoever wrote its labels. */
  readonly budget: Budget;
}

/**
 * The tags of one container's services: the port's own in the order written, then those of `--tags`, then `udp`. Only
 * `--tags` is a template: what a label says is text, braces and all, as gliderlabs/registrator has it.
 */
export class ServiceTags {
  readonly #report: Report;
  readonly #common: readonly string[];
  readonly #budget: Budget;
  /** By the label, and whether the protocol is UDP. */
  readonly #known = {
    tcp: new Map<Field | undefined, readonly string[]>(),
    udp: new Map<Field | undefined, readonly string[]>(),
  };
  /** URLs that `--tags` asks for and that were not fetched yet. */
  readonly fetches: readonly string[];

  /** Whether `--tags` gives any. */
  get hasCommon(): boolean {
    return this.#common.length > 0;
  }

  constructor({ snapshot, template, fetched, budget }: Source, report: Report) {
    this.#report = report;
    this.#budget = budget;
    const result = template?.evaluate(snapshot, fetched, budget);
    this.#common = result === undefined ? [] : this.#withoutLong('--tags', result.tags);
    this.fetches = result?.fetches ?? [];
    if (result !== undefined) this.#tell('--tags', result);
  }

  for(fields: PortFields, port: ContainerPort): readonly string[] {
    const field = fields.get('tags');
    const known = this.#known[port.protocol === 'udp' ? 'udp' : 'tcp'];
    const tags = known.get(field) ?? this.#list(field, port.protocol === 'udp' ? ['udp'] : []);
    known.set(field, tags);
    return tags;
  }

  #list(field: Field | undefined, byProtocol: readonly string[]): readonly string[] {
    const label = quote(field?.key ?? '');
    const own =
      field === undefined
        ? []
        : this.#withoutLong(
            label,
            this.#within(label, () => this.#split(field.value)),
          );
    const all = [...new Set([...own, ...this.#common, ...byProtocol])];
    if (all.length > MAX_TAGS) this.#report.leaveOutTags(label, `beyond the first ${MAX_TAGS}`);
    return all.slice(0, MAX_TAGS);
  }

  #split(text: string): readonly string[] {
    this.#budget.spend(text.length / PLAIN_STEP_CHARACTERS);
    return splitAtCommas(text);
  }

  /** Without what the budget does not reach for. */
  #within(label: string, work: () => readonly string[]): readonly string[] {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof BudgetError)) throw error;
      this.#report.exceed(label);
      return [];
    }
  }

  #withoutLong(label: string, tags: readonly string[]): readonly string[] {
    const short = tags.filter((tag) => !isOver(MAX_TAG, tag));
    if (short.length < tags.length) this.#report.leaveOutTags(label, `of more than ${MAX_TAG} bytes`);
    return short;
  }

  #tell(source: string, { failures, exhausted }: TagResult): void {
    for (const { tag, reason } of failures) {
      this.#report.say('warn', `tag ${tag} of ${source} fails here: ${reason}; the tag is left out.`);
    }
    if (exhausted) this.#report.exceed(source);
  }
}

/** Characters of a label's list that cost as much as one step. */
const PLAIN_STEP_CHARACTERS = 32;
