import type { ContainerSnapshot } from '../docker/index.ts';
import { splitAtCommas } from '../lib/commas.ts';
import { quote } from '../lib/quote.ts';
import { Budget, parseTagTemplate, type TagFailure, type TagTemplate, TemplateSyntaxError } from '../template/index.ts';
import type { ContainerPort } from './container.ts';
import { fieldText, type PortFields } from './fields.ts';
import type { Report } from './report.ts';

interface Source {
  readonly snapshot: ContainerSnapshot;
  /** `--tags`. */
  readonly template: TagTemplate | undefined;
  readonly fetched: ReadonlyMap<string, string>;
}

/** The tags of one container's services: the port's own in the order written, then those of `--tags`, then `udp`. */
export class ServiceTags {
  readonly #snapshot: ContainerSnapshot;
  readonly #report: Report;
  readonly #common: readonly string[];
  /** One for all labels of the container, whoever wrote them. */
  readonly #budget = new Budget();
  readonly #own = new Map<string, readonly string[]>();
  /** URLs that `--tags` asks for and that were not fetched yet. */
  readonly fetches: readonly string[];

  constructor({ snapshot, template, fetched }: Source, report: Report) {
    this.#snapshot = snapshot;
    this.#report = report;
    const result = template?.evaluate(snapshot, fetched, new Budget());
    this.#common = result?.tags ?? [];
    this.fetches = result?.fetches ?? [];
    this.#tell('--tags', result?.failures ?? []);
  }

  for(fields: PortFields, port: ContainerPort): readonly string[] {
    const own = fieldText(fields, 'tags') ?? '';
    const tags = this.#own.get(own) ?? this.#evaluate(fields.get('tags')?.key ?? '', own);
    this.#own.set(own, tags);
    return [...new Set([...tags, ...this.#common, ...(port.protocol === 'udp' ? ['udp'] : [])])];
  }

  #evaluate(key: string, text: string): readonly string[] {
    if (!text.includes('{{')) return splitAtCommas(text);
    return this.#parse(key, text).flatMap((template) => {
      // No httpGet: a container's label must not make registrator send requests.
      const { tags, failures } = template.evaluate(this.#snapshot, undefined, this.#budget);
      this.#tell(quote(key), failures);
      return tags;
    });
  }

  /** A tag that does not parse is no reason to lose the others. */
  #parse(key: string, text: string): readonly TagTemplate[] {
    try {
      return [parseTagTemplate(text)];
    } catch {
      return (text.match(TAG) ?? []).flatMap((tag) => {
        try {
          return parseTagTemplate(tag);
        } catch (error) {
          if (!(error instanceof TemplateSyntaxError)) throw error;
          this.#report.say(
            'warn',
            `${quote(key)} has a tag ${quote(tag)} that does not parse: ${error.message}; the tag is left out.`,
          );
          return [];
        }
      });
    }
  }

  #tell(source: string, failures: readonly TagFailure[]): void {
    for (const { tag, reason } of failures) {
      this.#report.say('warn', `tag ${tag} of ${source} fails here: ${reason}; the tag is left out.`);
    }
  }
}

/** Up to a comma outside of `{{ … }}`. */
const TAG = /(?:\{\{.*?(?:\}\}|$)|\\,|[^,])+/gs;
