import { quote } from '../lib/quote.ts';
import { functions } from './functions.ts';
import { EvaluationError, type Expression, type Pipeline, type SyntaxNode } from './syntax.ts';
import { type Environment, isObject, isTrue, keysOf, kindOf, print, sortedKeys, type Value } from './values.ts';

/** Characters that one tag's template may print. */
const MAX_OUTPUT = 65_536;

interface Variable {
  readonly name: string;
  value: Value;
}

/** Runs parts of one template on one container, in the order in which they are written. */
export class Evaluator {
  readonly #env: Environment;
  readonly #variables: Variable[];
  #dot: Value;

  constructor(root: Value, env: Environment) {
    this.#env = env;
    this.#dot = root;
    this.#variables = [{ name: '$', value: root }];
  }

  /** @returns what the nodes print; variables that they declare stay for the next part. @throws EvaluationError */
  run(nodes: readonly SyntaxNode[]): string {
    let output = '';
    for (const node of nodes) {
      output = limited(output + this.#node(node));
    }
    return output;
  }

  #node(node: SyntaxNode): string {
    this.#env.budget.spend();
    if (node.kind === 'text') {
      this.#env.budget.spendText(node.text.length);
      return node.text;
    }
    if (node.kind === 'action') {
      const value = this.#pipeline(node.pipeline);
      return node.pipeline.variables.length === 0 ? print(value, this.#env) : '';
    }
    if (node.kind === 'range') return this.#scoped(() => this.#range(node.pipeline, node.body, node.otherwise));
    return this.#scoped(() => {
      const value = this.#pipeline(node.pipeline);
      if (!isTrue(value, this.#env)) return this.run(node.otherwise);
      return node.kind === 'with' ? this.#within(value, node.body) : this.run(node.body);
    });
  }

  #range(
    { variables, declares, value: list }: Pipeline,
    body: readonly SyntaxNode[],
    otherwise: readonly SyntaxNode[],
  ): string {
    const elements = this.#elements(this.#value(list));
    if (elements.length === 0) return this.run(otherwise);
    let output = '';
    for (const [key, element] of elements) {
      // Even where there is nothing in the body.
      this.#env.budget.spend(2);
      const printed = this.#scoped(() => {
        // One variable is the element; of two the first is its index or key.
        const values = variables.length === 2 ? [key, element] : [element];
        for (const [index, name] of variables.entries()) this.#set(name, values[index], declares);
        return this.#within(element, body);
      });
      output = limited(output + printed);
    }
    return output;
  }

  #elements(value: Value): readonly (readonly [Value, Value])[] {
    if (value === null || value === undefined) return [];
    if (Array.isArray(value)) {
      this.#env.budget.spend(value.length);
      return [...value.entries()];
    }
    if (isObject(value) && this.#env.isMap(value)) {
      return sortedKeys(value, this.#env).map((key) => [key, value[key]]);
    }
    throw new EvaluationError(`range wants a list or a map and gets ${kindOf(value)}`);
  }

  #within(dot: Value, nodes: readonly SyntaxNode[]): string {
    const outside = this.#dot;
    this.#dot = dot;
    try {
      return this.run(nodes);
    } finally {
      this.#dot = outside;
    }
  }

  #scoped(run: () => string): string {
    const { length } = this.#variables;
    try {
      return run();
    } finally {
      this.#variables.length = length;
    }
  }

  #pipeline({ variables, declares, value: expression }: Pipeline): Value {
    const value = this.#value(expression);
    for (const name of variables) this.#set(name, value, declares);
    return value;
  }

  #set(name: string, value: Value, declares: boolean): void {
    if (declares) this.#variables.push({ name, value });
    else this.#variable(name).value = value;
  }

  #variable(name: string): Variable {
    this.#env.budget.spend(this.#variables.length / 16);
    const variable = this.#variables.findLast((candidate) => candidate.name === name);
    // The parser accepts only declared variables. Tags are evaluated one by one, so the one that declares it has failed.
    if (variable === undefined) throw new EvaluationError(`the variable ${quote(name)} has no value`);
    return variable;
  }

  #value(expression: Expression): Value {
    this.#env.budget.spend();
    switch (expression.kind) {
      case 'literal':
        return expression.value;
      case 'dot':
        return this.#dot;
      case 'variable':
        return this.#variable(expression.name).value;
      case 'field':
        return this.#field(this.#value(expression.of), expression.name);
      case 'call':
        return this.#call(expression.name, expression.args);
    }
  }

  #call(name: string, args: readonly Expression[]): Value {
    if (name === 'and' || name === 'or') {
      let value: Value;
      for (const arg of args) {
        value = this.#value(arg);
        if (isTrue(value, this.#env) === (name === 'or')) return value;
      }
      return value;
    }
    const values = args.map((arg) => this.#charged(this.#value(arg)));
    return this.#charged(functions.get(name)?.run(values, this.#env));
  }

  /** What a function does with a value takes the longer the larger it is. */
  #charged(value: Value): Value {
    if (typeof value === 'string') this.#env.budget.spendText(value.length);
    if (Array.isArray(value)) this.#env.budget.spend(value.length);
    return value;
  }

  #field(of: Value, name: string): Value {
    if (of === undefined) return undefined;
    if (!isObject(of)) throw new EvaluationError(`there is no field ${quote(name)} in ${kindOf(of)}`);
    if (Object.hasOwn(of, name)) return of[name];
    if (this.#env.isMap(of)) return undefined;
    // Go's Docker client writes `ID` where Docker's JSON has `Id`.
    const key = keysOf(of, this.#env).find((candidate) => candidate.toLowerCase() === name.toLowerCase());
    if (key === undefined) throw new EvaluationError(`the container has no field ${quote(name)}`);
    return of[key];
  }
}

function limited(output: string): string {
  if (output.length > MAX_OUTPUT) throw new EvaluationError(`it prints more than ${MAX_OUTPUT} characters`);
  return output;
}
