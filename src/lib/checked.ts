import * as v from 'valibot';

/** What came from outside has not the shape that it should have. It can pass: the next answer may have it. */
export class WrongShapeError extends Error {
  override readonly name = 'WrongShapeError';
}

/**
 * The value, where it is of the schema's shape: as it came and no copy, so fields that the schema does not know are kept.
 *
 * @param complaint the beginning of the sentence if it is not, such as `This is no answer of Docker's`
 * @throws WrongShapeError that says where the value is wrong, and shows nothing of it: it may hold a secret
 */
export function checked<S extends v.GenericSchema>(schema: S, value: unknown, complaint: string): v.InferInput<S> {
  if (v.is(schema, value)) return value;
  const [issue] = v.safeParse(schema, value, { abortEarly: true }).issues ?? [];
  const place = issue === undefined ? null : v.getDotPath(issue);
  throw new WrongShapeError(`${complaint}: ${place ?? 'it'} should be ${issue?.expected ?? 'valid'}`);
}

/** What the text says in JSON. @returns undefined where it is no JSON, or not of the schema's shape */
export function parsed<S extends v.GenericSchema>(schema: S, text: string): v.InferInput<S> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return v.is(schema, value) ? value : undefined;
  } catch {
    return undefined;
  }
}
