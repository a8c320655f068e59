import { quote } from '../lib/quote.ts';
import { EvaluationError } from './syntax.ts';
import { type Environment, integerOf, kindOf, print, textOf, type Value } from './values.ts';

const VERB = /%([-0]*)(\d*)(?:\.(\d+))?(.?)/gsu;
/** Characters of the widest field, and digits of the finest number. */
const WIDEST = 100;

/** Go's printf with the verbs and flags that tags are written with: `%v %s %q %d %x %t %f`, `-`, `0`, width, precision. */
export function printf(format: Value, values: readonly Value[], env: Environment): string {
  const rest = [...values];
  const text = textOf(format, 'the format').replace(
    VERB,
    (_, flags: string, width: string, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      if (rest.length === 0) throw new EvaluationError(`printf has no value for ${quote(`%${verb}`)}`);
      if (Math.max(Number(width), Number(precision ?? 0)) > WIDEST) {
        throw new EvaluationError(`printf makes no field of more than ${WIDEST} characters`);
      }
      const field = formatted(verb, rest.shift(), precision === undefined ? undefined : Number(precision), env);
      env.budget.spendText(field.length + WIDEST);
      if (flags.includes('-')) return field.padEnd(Number(width));
      const sign = flags.includes('0') && field.startsWith('-') ? '-' : '';
      return sign + field.slice(sign.length).padStart(Number(width) - sign.length, flags.includes('0') ? '0' : ' ');
    },
  );
  if (rest.length > 0) throw new EvaluationError(`printf has ${rest.length} more values than verbs`);
  env.budget.spendText(text.length);
  return text;
}

/** To so many characters; a pair of surrogates is one. */
function cut(text: string, precision: number | undefined): string {
  return precision === undefined ? text : [...text.slice(0, 2 * precision)].slice(0, precision).join('');
}

function formatted(verb: string, value: Value, precision: number | undefined, env: Environment): string {
  switch (verb) {
    case 'v':
      return print(value, env);
    case 's':
      return cut(print(value, env), precision);
    case 'q':
      return JSON.stringify(textOf(value, 'the value of %q'));
    case 'd':
      return String(integerOf(value, 'the value of %d'));
    case 'x':
      return typeof value === 'string'
        ? Buffer.from(value).toString('hex')
        : integerOf(value, 'the value of %x').toString(16);
    case 't':
    case 'f':
      if (typeof value === 'boolean' && verb === 't') return String(value);
      if (typeof value === 'number' && verb === 'f') return value.toFixed(precision ?? 6);
      throw new EvaluationError(`%${verb} does not print ${kindOf(value)}`);
    default:
      throw new EvaluationError(`printf does not know ${quote(`%${verb}`)}`);
  }
}
