import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEvent, parseEvents } from '../../src/docker/docker-host.ts';

const event = (fields: object) =>
  JSON.stringify({
    Type: 'container',
    Action: 'start',
    Actor: { ID: 'abc' },
    timeNano: Number('1700000000123456789'),
    ...fields,
  });

describe("Docker's events", () => {
  it('of a container name it, with a time to go on from that is a little early rather than late', () => {
    const parsed = parseEvent(event({}));
    expect(parsed).toMatchObject({ containerId: 'abc', action: 'start' });
    expect(parsed?.time).toMatch(/^1700000000\.12345\d{4}$/);
    expect(Number(parsed?.time)).toBeLessThanOrEqual(Number('1700000000.123456789'));
  });

  it('of a network name the container that was connected', () => {
    const line = event({ Type: 'network', Action: 'connect', Actor: { ID: 'net', Attributes: { container: 'abc' } } });
    expect(parseEvent(line)).toMatchObject({ containerId: 'abc', action: 'connect' });
  });

  it.each(['exec_create: sh', 'exec_start: sh', 'exec_die', 'attach', 'top', 'create', 'oom'])(
    'of the kind %s change nothing',
    (Action) => {
      expect(parseEvent(event({ Action }))).toBeUndefined();
    },
  );

  it.each(['start', 'die', 'pause', 'unpause', 'rename', 'destroy', 'health_status: healthy', 'stop', 'update'])(
    'of the kind %s are hints',
    (Action) => {
      expect(parseEvent(event({ Action }))?.action).toBe(Action);
    },
  );

  it('of a signal sent to a container say which', () => {
    const line = event({ Action: 'kill', Actor: { ID: 'abc', Attributes: { signal: '15' } } });
    expect(parseEvent(line)).toMatchObject({ containerId: 'abc', action: 'kill', signal: '15' });
    expect(parseEvent(event({ Action: 'kill' }))).not.toHaveProperty('signal');
  });

  it('are read with a record separator before them, as application/json-seq has it', () => {
    expect(parseEvent(`\x1e${event({})}`)).toEqual(parseEvent(event({})));
  });

  it('that are no events are passed over, whatever they are', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        const parsed = parseEvent(line);
        if (parsed !== undefined) expect(typeof parsed.containerId).toBe('string');
      }),
    );
    fc.assert(
      fc.property(fc.anything(), fc.anything(), fc.anything(), (Type, Actor, timeNano) => {
        expect(() => parseEvent(JSON.stringify({ Type, Action: 'start', Actor, timeNano }) ?? '')).not.toThrow();
      }),
    );
  });
});

describe('the stream of events', () => {
  const read = async (chunks: readonly Buffer[]) => {
    const events = [];
    for await (const each of parseEvents(Readable.from(chunks, { objectMode: true }))) events.push(each);
    return events.map(({ containerId }) => containerId);
  };
  const lineOf = (ID: string, Attributes = {}) => `${event({ Actor: { ID, Attributes } })}\n`;

  it('is the same wherever its bytes are cut, within characters too', async () => {
    const bytes = Buffer.from(['é', '€', '𝄞', 'z'].map((letter) => lineOf(letter, { label: '日本' })).join(''));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
        const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
        const chunks = at.slice(1).map((end, n) => bytes.subarray(at[n], end));
        expect(await read(chunks)).toEqual(['é', '€', '𝄞', 'z']);
      }),
    );
  });

  it('goes on after an event that is too long to be one, of which nothing is kept', async () => {
    const long = lineOf('long', { label: 'x'.repeat(3_000_000) });
    const bytes = Buffer.from(`${lineOf('a')}${long}${lineOf('b')}`);
    const chunks = Array.from({ length: Math.ceil(bytes.length / 65_536) }, (_, n) =>
      bytes.subarray(n * 65_536, (n + 1) * 65_536),
    );
    expect(await read(chunks)).toEqual(['a', 'b']);
  });

  it('has an event with labels of half a megabyte', async () => {
    expect(await read([Buffer.from(lineOf('a', { label: 'x'.repeat(500_000) }))])).toEqual(['a']);
  });
});
