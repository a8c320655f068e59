import type { ContainerSnapshot } from '../docker/index.ts';
import { splitAtCommas } from '../lib/commas.ts';
import { quote } from '../lib/quote.ts';
import {
  type Budget,
  BudgetError,
  parseTagTemplate,
  type TagResult,
  type TagTemplate,
  TemplateSyntaxError,
} from '../template/index.ts';
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

/** The tags of one container's services: the port's own in the order written, then those of `--tags`, then `udp`. */
export class ServiceTags {
  readonly #snapshot: ContainerSnapshot;
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

  constructor({ snapshot, template, fetched, budget }: Source, report: Report) {
    this.#snapshot = snapshot;
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
            this.#within(label, () => this.#evaluate(label, field.value)),
          );
    const all = [...new Set([...own, ...this.#common, ...byProtocol])];
    if (all.length > MAX_TAGS) this.#report.leaveOutTags(label, `beyond the first ${MAX_TAGS}`);
    return all.slice(0, MAX_TAGS);
  }

  #evaluate(label: string, text: string): readonly string[] {
    if (!text.includes('{{')) {
      this.#budget.spend(text.length / PLAIN_STEP_CHARACTERS);
      return splitAtCommas(text);
    }
    return this.#parse(label, text).flatMap((template) => {
      // No httpGet: a container's label must not make registrator send requests.
      const result = template.evaluate(this.#snapshot, undefined, this.#budget);
      this.#tell(label, result);
      return result.tags;
    });
  }

  /** A tag that does not parse is no reason to lose the others. */
  #parse(label: string, text: string): readonly TagTemplate[] {
    try {
      return [this.#parsed(text)];
    } catch (error) {
      if (error instanceof BudgetError) throw error;
      return (text.match(TAG) ?? []).flatMap((tag) => {
        try {
          return this.#parsed(tag);
        } catch (error) {
          if (!(error instanceof TemplateSyntaxError)) throw error;
          this.#report.say(
            'warn',
            `${label} has a tag ${quote(tag)} that does not parse: ${error.message}; the tag is left out.`,
          );
          return [];
        }
      });
    }
  }

  #parsed(text: string): TagTemplate {
    this.#budget.spend(PARSE_STEPS + text.length);
    return parseTagTemplate(text);
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

/** Characters of a list without templates that cost as much as one step. */
const PLAIN_STEP_CHARACTERS = 32;
/** Steps of parsing anything at all, which may fail. */
const PARSE_STEPS = 50;

/** Up to a comma outside of `{{ … }}`. */
const TAG = /(?:\{\{.*?(?:\}\}|$)|\\,|[^,])+/gs;
