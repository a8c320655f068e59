import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { question, updateMessage } from '../../../src/registries/rfc2136/message.ts';
import { ALGORITHMS, sign, type TsigKey, TsigReader } from '../../../src/registries/rfc2136/tsig.ts';
import { answerTo, laterAnswer } from './signing.ts';

const key: TsigKey = {
  name: 'registrator',
  algorithm: 'hmac-sha256',
  secret: Buffer.from('a secret of the tests, 32 bytes.'),
};

/** What nsupdate of BIND 9.18 sent with this key, and what named answered. */
const REQUEST = Buffer.from(
  '0094ff5328000001000100010001087365727669636573076578616d706c6500000600010161c00c00ff00fe000000000000c022000100010000000a0004c00002010b7265676973747261746f720000fa00ff00000000003d0b686d61632d7368613235360000006b07ad7a012c0020d962056b10cdd6c8e5ef331e4b846260179df522ea861d63a6fccfb9ca74b50fff5300000000',
  'hex',
).subarray(2);
const ANSWER = Buffer.from(
  '0076ff53a8000001000000000001087365727669636573076578616d706c6500000600010b7265676973747261746f720000fa00ff00000000003d0b686d61632d7368613235360000006b07ad7a012c002067b393a5f790969d1fc29218d8de438d7400b4f1d3bd94bd0c0025428fa1c7c1ff5300000000',
  'hex',
).subarray(2);
const SENT_AT = 0x6b07ad7a;
/** Of its signature with this key's name and algorithm. */
const SIGNATURE_BYTES = 84;

function unsigned(packet: Buffer): Buffer {
  const message = Buffer.from(packet.subarray(0, packet.length - SIGNATURE_BYTES));
  message.writeUInt16BE(0, 10);
  return message;
}

describe('a signature', () => {
  it('is byte for byte that of nsupdate', () => {
    expect(sign(unsigned(REQUEST), key, SENT_AT).packet.toString('hex')).toBe(REQUEST.toString('hex'));
  });

  it('of the answer of named is taken', () => {
    const reader = new TsigReader(key, sign(unsigned(REQUEST), key, SENT_AT).mac);
    reader.read(ANSWER, SENT_AT);
    expect(reader.isComplete).toBe(true);
  });

  it('of the answer to another request is not', () => {
    const reader = new TsigReader(key, sign(unsigned(REQUEST), key, SENT_AT + 1).mac);
    expect(() => reader.read(ANSWER, SENT_AT)).toThrow('its signature is wrong');
  });

  it.each([301, -301])('that is %i seconds away is not', (seconds) => {
    const reader = new TsigReader(key, sign(unsigned(REQUEST), key, SENT_AT).mac);
    expect(() => reader.read(ANSWER, SENT_AT + seconds)).toThrow('it was signed at another time');
  });

  it('does not fit when any bit of the answer, or of its signature, is another one', () => {
    const { mac } = sign(unsigned(REQUEST), key, SENT_AT);
    const message = ANSWER.length - SIGNATURE_BYTES;
    for (let bit = 0; bit < ANSWER.length * 8; bit++) {
      const changed = Buffer.from(ANSWER);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      // The ID is that of the signature, so that a forwarder may change it; case is no difference in names.
      const isId = bit >> 3 < 2;
      const isCase =
        (bit & 7) === 5 && bit >> 3 >= message && /[a-z]/i.test(String.fromCharCode(ANSWER[bit >> 3] ?? 0));
      const reading = () => new TsigReader(key, mac).read(changed, SENT_AT);
      const isTtl = bit >> 3 >= message + 17 && bit >> 3 < message + 21;
      if (!isId && !isCase && !isTtl) expect(reading, `bit ${bit}`).toThrow();
    }
  });
});

describe('any message', () => {
  const anyKey = fc.record({
    name: fc.constantFrom('k', 'registrator', 'a.key.example'),
    algorithm: fc.constantFrom(...ALGORITHMS),
    secret: fc.uint8Array({ minLength: 1, maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  });
  const anyMessage = fc.oneof(
    fc.constantFrom('a.example', 'example').map((name) => question(name, 'SOA')),
    fc.nat(5).map((n) => updateMessage('example', Array(n).fill(Buffer.from('00000600fe000000000000', 'hex')), [])),
  );
  const anyTime = fc.nat({ max: 2 ** 40 });

  it('that is signed with the same secret is taken, and with another is not', () => {
    fc.assert(
      fc.property(anyKey, anyMessage, anyTime, fc.uint8Array(), (known, message, now, prior) => {
        // An answer's signature covers the request's, which one of a request has not: it is chained by hand.
        const { packet } = answerTo(Buffer.from(prior), message, known, now);
        new TsigReader(known, Buffer.from(prior)).read(packet, now);
        const other = { ...known, secret: Buffer.concat([known.secret, Buffer.of(1)]) };
        expect(() => new TsigReader(other, Buffer.from(prior)).read(packet, now)).toThrow('its signature is wrong');
      }),
    );
  });

  it('of any bytes is refused, and nothing else happens', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => new TsigReader(key, Buffer.alloc(32)).read(Buffer.from(bytes), SENT_AT)).toThrow();
      }),
    );
    fc.assert(
      fc.property(fc.nat(ANSWER.length - 1), fc.uint8Array({ maxLength: 20 }), (at, bytes) => {
        const cut = Buffer.concat([ANSWER.subarray(0, at), bytes]);
        expect(() => new TsigReader(key, Buffer.alloc(32)).read(cut, SENT_AT)).toThrow();
      }),
    );
  });
});

describe('an answer of many messages', () => {
  const prior = Buffer.from('the MAC of the request');
  const message = question('services.example', 'AXFR');

  it('may leave messages between two signed ones without a signature', () => {
    const reader = new TsigReader(key, prior);
    const first = answerTo(prior, message, key, SENT_AT);
    reader.read(first.packet, SENT_AT);
    reader.read(message, SENT_AT);
    reader.read(message, SENT_AT);
    expect(reader.isComplete).toBe(false);
    reader.read(laterAnswer(first.mac, [message, message], message, key, SENT_AT), SENT_AT);
    expect(reader.isComplete).toBe(true);
  });

  it('is refused where one without a signature was changed, or is missing', () => {
    for (const between of [[message], [message, question('services.example', 'SOA')]]) {
      const reader = new TsigReader(key, prior);
      const first = answerTo(prior, message, key, SENT_AT);
      reader.read(first.packet, SENT_AT);
      for (const each of between) reader.read(each, SENT_AT);
      const last = laterAnswer(first.mac, [message, message], message, key, SENT_AT);
      expect(() => reader.read(last, SENT_AT)).toThrow('its signature is wrong');
    }
  });

  it('is refused where the first has no signature, or a hundred in a row have none', () => {
    expect(() => new TsigReader(key, prior).read(message, SENT_AT)).toThrow('it is not signed');
    const reader = new TsigReader(key, prior);
    reader.read(answerTo(prior, message, key, SENT_AT).packet, SENT_AT);
    for (let n = 0; n < 99; n++) reader.read(message, SENT_AT);
    expect(() => reader.read(message, SENT_AT)).toThrow('it is not signed');
  });
});

it('what the server did not like is told, with the time by which its clock is ahead', () => {
  const { packet } = answerTo(Buffer.alloc(32), question('example', 'SOA'), key, SENT_AT);
  // No MAC; the error, and the server's time.
  const head = packet.subarray(0, packet.length - SIGNATURE_BYTES);
  const tsig = Buffer.from(packet.subarray(packet.length - SIGNATURE_BYTES, -32 - 6));
  tsig.writeUInt16BE(0, tsig.length - 2);
  tsig.writeUInt16BE(tsig.readUInt16BE(21) - 32 + 6, 21);
  const time = Buffer.alloc(6);
  time.writeUIntBE(SENT_AT + 3_600, 0, 6);
  const rest = Buffer.concat([head.subarray(0, 2), Buffer.from([0, 18, 0, 6]), time]);
  const answer = Buffer.concat([head, tsig, rest]);
  const reading = () => new TsigReader(key, Buffer.alloc(32)).read(answer, SENT_AT);
  expect(reading).toThrow(expect.objectContaining({ code: 'BADTIME', skew: 3_600 }));
});
