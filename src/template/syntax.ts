/** A template that does not parse. */
export class TemplateSyntaxError extends Error {
  override readonly name = 'TemplateSyntaxError';
  /** Where, from 1. */
  readonly column: number;

  /** @param offset where in the text, from 0 */
  constructor(offset: number, what: string) {
    super(`at column ${offset + 1}, ${what}`);
    this.column = offset + 1;
  }
}

/** A template that fails on one container. */
export class EvaluationError extends Error {
  override readonly name: string = 'EvaluationError';
}

/** Pipelines are calls here: `a | f x` is `f x a`. */
export type Expression =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  | { readonly kind: 'dot' }
  | { readonly kind: 'variable'; readonly name: string }
  | { readonly kind: 'field'; readonly of: Expression; readonly name: string }
  | { readonly kind: 'call'; readonly name: string; readonly args: readonly Expression[] };

export interface Pipeline {
  /** Variables that take the value; `range` may set two, the index and the element. */
  readonly variables: readonly string[];
  /** Whether the variables are new (`:=`) or there already (`=`). */
  readonly declares: boolean;
  readonly value: Expression;
}

export type SyntaxNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipeline: Pipeline;
      readonly body: readonly SyntaxNode[];
      readonly otherwise: readonly SyntaxNode[];
    };
