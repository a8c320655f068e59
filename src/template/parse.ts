import { quote } from '../lib/quote.ts';
import { signatures } from './functions.ts';
import { literalValue } from './literal.ts';
import { scan, type Token } from './scan.ts';
import { type Expression, type Pipeline, type SyntaxNode, TemplateSyntaxError } from './syntax.ts';

/** Deeper nesting is no template that anybody writes. */
const MAX_DEPTH = 50;
const MAX_LENGTH = 16_384;

const BLOCKS = ['if', 'with', 'range'] as const;
const UNSUPPORTED = ['define', 'template', 'block', 'break', 'continue'];
const CONSTANTS = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['nil', null],
]);

/** The nodes of a template in the language of Go's text/template. @throws TemplateSyntaxError */
export function parse(source: string): readonly SyntaxNode[] {
  if (source.length > MAX_LENGTH) {
    throw new TemplateSyntaxError(MAX_LENGTH, `the template is longer than ${MAX_LENGTH} characters`);
  }
  return new Parser(scan(source)).template();
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #end: Token;
  #next = 0;
  #depth = 0;
  /** Variables known at this point, the latest last. */
  #variables: readonly string[] = ['$'];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
    this.#end = tokens.at(-1) ?? { kind: 'end', text: '', at: 0, adjacent: false };
  }

  template(): readonly SyntaxNode[] {
    const nodes = this.#nodes();
    const token = this.#peek();
    if (token.kind !== 'end') throw this.#fault(token, `{{${this.#peek(1).text}}} has no block to belong to`);
    return nodes;
  }

  /** Up to the end, or to an `{{else` or `{{end`. */
  #nodes(): readonly SyntaxNode[] {
    const nodes: SyntaxNode[] = [];
    for (;;) {
      const token = this.#peek();
      if (token.kind === 'end') return nodes;
      if (token.kind === 'text') {
        nodes.push({ kind: 'text', text: this.#take().text });
        continue;
      }
      const keyword = this.#peek(1);
      if (keyword.kind === 'word' && /^(else|end)$/.test(keyword.text)) return nodes;
      this.#take();
      nodes.push(this.#action(keyword));
    }
  }

  #action(keyword: Token): SyntaxNode {
    const kind = BLOCKS.find((block) => keyword.kind === 'word' && block === keyword.text);
    if (kind !== undefined) {
      this.#take();
      return this.#nested(keyword, () => this.#block(kind, keyword));
    }
    const pipeline = this.#pipeline(1);
    this.#expect('close', '}}');
    return { kind: 'action', pipeline };
  }

  #block(kind: (typeof BLOCKS)[number], start: Token): SyntaxNode {
    const outside = this.#variables;
    const pipeline = this.#pipeline(kind === 'range' ? 2 : 1);
    this.#expect('close', '}}');
    const body = this.#scoped(() => this.#nodes());
    const otherwise = this.#scoped(() => this.#otherwise(kind, start));
    this.#variables = outside;
    return { kind, pipeline, body, otherwise };
  }

  /** From the `{{else` or `{{end` of a block on, past its `{{end}}`. */
  #otherwise(kind: (typeof BLOCKS)[number], start: Token): readonly SyntaxNode[] {
    if (this.#peek().kind === 'end') throw this.#fault(start, `{{${kind}}} is not closed by {{end}}`);
    this.#expect('open', '{{');
    if (this.#take().text === 'end') {
      this.#expect('close', '}}');
      return [];
    }
    if (this.#peek().kind === 'word' && this.#peek().text === 'if' && kind === 'if') {
      const chained = this.#take();
      // The one {{end}} closes both.
      return [this.#nested(chained, () => this.#block('if', start))];
    }
    this.#expect('close', '}}');
    const nodes = this.#nodes();
    if (this.#peek().kind === 'end') throw this.#fault(start, `{{${kind}}} is not closed by {{end}}`);
    this.#expect('open', '{{');
    this.#expect('word', 'end');
    this.#expect('close', '}}');
    return nodes;
  }

  #pipeline(maxVariables: number): Pipeline {
    const { variables, declares } = this.#assignment(maxVariables);
    const value = this.#piped();
    // A variable is there after its own value only.
    if (declares) this.#variables = [...this.#variables, ...variables];
    return { variables, declares, value };
  }

  #assignment(maxVariables: number): Omit<Pipeline, 'value'> {
    const count = this.#peek(1).text === ',' && maxVariables > 1 ? 2 : 1;
    const mark = this.#peek(2 * count - 1);
    if (this.#peek().kind !== 'variable' || !/^:?=$/.test(mark.text)) return { variables: [], declares: false };
    const declares = mark.text === ':=';
    const variables: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const variable = this.#expect('variable', 'a variable');
      if (!declares) this.#known(variable);
      variables.push(variable.text);
      this.#take();
    }
    return { variables, declares };
  }

  /** `command | command …` */
  #piped(): Expression {
    let value: Expression | undefined;
    do {
      if (value !== undefined) this.#take();
      value = this.#command(value);
    } while (this.#peek().text === '|' && this.#peek().kind === 'mark');
    return value;
  }

  /** A function with its arguments, or one operand. */
  #command(piped: Expression | undefined): Expression {
    const first = this.#peek();
    if (first.kind === 'word' && !CONSTANTS.has(first.text)) {
      this.#take();
      const args: Expression[] = [];
      while (this.#startsOperand()) args.push(this.#operand());
      return this.#call(first, piped === undefined ? args : [...args, piped]);
    }
    const value = this.#operand();
    if (piped !== undefined) throw this.#fault(first, 'what follows | must be a function');
    if (this.#startsOperand()) throw this.#fault(this.#peek(), 'only a function takes arguments');
    return value;
  }

  #call({ text: name, at }: Token, args: readonly Expression[]): Expression {
    const signature = signatures.get(name);
    if (UNSUPPORTED.includes(name)) throw new TemplateSyntaxError(at, `{{${name}}} is not supported`);
    if (signature === undefined) throw new TemplateSyntaxError(at, `there is no function ${quote(name)}`);
    const [least, most] = signature;
    if (args.length < least || args.length > most) {
      const wanted =
        least === most ? `${least}` : most === Number.POSITIVE_INFINITY ? `${least} or more` : `${least} to ${most}`;
      throw new TemplateSyntaxError(at, `${name} takes ${wanted} arguments and has ${args.length}`);
    }
    return { kind: 'call', name, args };
  }

  #startsOperand(): boolean {
    const { kind, text } = this.#peek();
    return ['word', 'field', 'variable', 'string', 'number'].includes(kind) || (kind === 'mark' && /^[(.]$/.test(text));
  }

  #operand(): Expression {
    const token = this.#take();
    switch (token.kind) {
      case 'string':
      case 'number':
        return this.#literal(token);
      case 'word':
        if (CONSTANTS.has(token.text)) return { kind: 'literal', value: CONSTANTS.get(token.text) ?? null };
        return this.#call(token, []);
      case 'field':
        return this.#fields({ kind: 'field', of: { kind: 'dot' }, name: token.text.slice(1) });
      case 'variable':
        this.#known(token);
        return this.#fields({ kind: 'variable', name: token.text });
      case 'mark':
        if (token.text === '.') return { kind: 'dot' };
        if (token.text === '(') return this.#fields(this.#nested(token, () => this.#parenthesised()));
    }
    throw this.#fault(token, token.kind === 'close' ? 'a value is missing' : `${quote(token.text)} is no value`);
  }

  #parenthesised(): Expression {
    const value = this.#piped();
    const close = this.#take();
    if (close.text !== ')' || close.kind !== 'mark') throw this.#fault(close, 'a ) is missing');
    return value;
  }

  #literal(token: Token): Expression {
    const value = literalValue(token.text);
    if (value === undefined) throw this.#fault(token, `${quote(token.text)} is no value`);
    if (this.#peek().kind === 'field' && this.#peek().adjacent)
      throw this.#fault(this.#peek(), 'a literal has no fields');
    return { kind: 'literal', value };
  }

  /** Fields that follow without a blank: `$x.A.B`, `(…).A`. */
  #fields(of: Expression): Expression {
    let value = of;
    while (this.#peek().kind === 'field' && this.#peek().adjacent) {
      value = { kind: 'field', of: value, name: this.#take().text.slice(1) };
    }
    return value;
  }

  #known({ text, at }: Token): void {
    if (!this.#variables.includes(text))
      throw new TemplateSyntaxError(at, `the variable ${quote(text)} is not declared`);
  }

  #scoped<T>(parse: () => T): T {
    const outside = this.#variables;
    const value = parse();
    this.#variables = outside;
    return value;
  }

  #nested<T>(start: Token, parse: () => T): T {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw this.#fault(start, 'the template is nested too deeply');
    const value = parse();
    this.#depth -= 1;
    return value;
  }

  #peek(ahead = 0): Token {
    return this.#tokens[this.#next + ahead] ?? this.#end;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next += 1;
    return token;
  }

  #expect(kind: Token['kind'], text: string): Token {
    const token = this.#take();
    if (token.kind === kind && (kind === 'variable' || token.text === text)) return token;
    throw this.#fault(token, `${text} is expected`);
  }

  #fault({ at }: Token, what: string): TemplateSyntaxError {
    return new TemplateSyntaxError(at, what);
  }
}
