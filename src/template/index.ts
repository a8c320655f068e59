import { splitAtCommas } from '../lib/commas.ts';
import { type Budget, BudgetError } from './budget.ts';
import { Evaluator } from './evaluate.ts';
import { type Inspected, inspectionOf } from './inspection.ts';
import { parse } from './parse.ts';
import { EvaluationError, type SyntaxNode } from './syntax.ts';

export { Budget, BudgetError } from './budget.ts';
export { TemplateSyntaxError } from './syntax.ts';

/** Longer than any URL that a server takes. */
const MAX_URL = 2_048;
/** Steps of a tag that may fail, which takes some microseconds. */
const TAG_STEPS = 20;

export interface TagResult {
  /** In the order in which they are written; empty ones are left out. */
  readonly tags: readonly string[];
  readonly failures: readonly TagFailure[];
  /** Whether the budget did not reach to the end: the tags from there on are missing. */
  readonly exhausted: boolean;
  /** URLs that httpGet needs first; the tags made of their answers are missing too. */
  readonly fetches: readonly string[];
}

interface TagFailure {
  /** Which tag is missing, from 1. */
  readonly tag: number;
  readonly reason: string;
}

/**
 * Comma separated tags with `{{ … }}` in them, in the language of Go's text/template over a container's inspection. One
 * that fails on a container is missing there, and no other.
 */
export class TagTemplate {
  /** The nodes of each tag: the commas outside of `{{ … }}` part them. */
  readonly #parts: readonly (readonly SyntaxNode[])[];

  /** @throws TemplateSyntaxError */
  constructor(source: string) {
    this.#parts = split(parse(source));
  }

  /** @param fetched bodies by URL for httpGet; where undefined, no request is allowed */
  evaluate(snapshot: Inspected, fetched: ReadonlyMap<string, string> | undefined, budget: Budget): TagResult {
    const fetches = new Set<string>();
    const httpGet = (url: string): string => {
      if (fetched === undefined) throw new EvaluationError('httpGet is for --tags only');
      if (!/^https?:\/\//i.test(url) || !URL.canParse(url) || url.length > MAX_URL) {
        // It may hold credentials.
        throw new EvaluationError('httpGet takes an http or https URL, and this is none');
      }
      const body = fetched.get(url);
      if (body !== undefined) return body;
      fetches.add(url);
      throw new Unfetched();
    };
    const { root, isMap } = inspectionOf(snapshot);
    const evaluator = new Evaluator(root, { isMap, budget, httpGet });
    const failures: TagFailure[] = [];
    const tags: string[] = [];
    let exhausted = false;
    for (const [index, part] of this.#parts.entries()) {
      try {
        if (part.some(({ kind }) => kind !== 'text')) budget.spend(TAG_STEPS);
        // What an action prints may hold commas of its own: `{{ join "," … }}`.
        for (const tag of splitAtCommas(evaluator.run(part))) tags.push(tag);
      } catch (error) {
        if (error instanceof BudgetError) {
          exhausted = true;
          break;
        }
        if (!(error instanceof Unfetched)) failures.push({ tag: index + 1, reason: (error as Error).message });
      }
    }
    return { tags, failures, exhausted, fetches: [...fetches] };
  }
}

/** @throws TemplateSyntaxError */
export function parseTagTemplate(source: string): TagTemplate {
  return new TagTemplate(source);
}

/** Ends the tag that waits for an answer. */
class Unfetched extends Error {}

function split(nodes: readonly SyntaxNode[]): readonly (readonly SyntaxNode[])[] {
  const parts: SyntaxNode[][] = [[]];
  for (const node of nodes) {
    if (node.kind !== 'text') {
      parts.at(-1)?.push(node);
      continue;
    }
    for (const [index, text] of node.text.split(/(?<!\\),/).entries()) {
      if (index > 0) parts.push([]);
      parts.at(-1)?.push({ kind: 'text', text });
    }
  }
  return parts;
}
