import fc from 'fast-check';

/** Names and IDs that would do harm in the key of a registry, and any others. */
export const hostile = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'/.%_a:\u0000\n\ud800é'.split('')), maxLength: 6 }),
  fc.string({ unit: 'binary' }),
);
