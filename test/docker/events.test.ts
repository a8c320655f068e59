import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseEvent } from '../../src/docker/docker-host.ts';

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
