/** For `--import`: the wall clock of a process jumps an hour ahead at SIGUSR2, and back at the next. Timers do not. */
const HOUR = 3_600_000;
const System = Date;
let ahead = 0;

class JumpingDate extends System {
  constructor(...args: []) {
    if (args.length === 0) super(System.now() + ahead);
    else super(...args);
  }
  static override now(): number {
    return System.now() + ahead;
  }
}

globalThis.Date = JumpingDate as DateConstructor;
process.on('SIGUSR2', () => {
  ahead = ahead === 0 ? HOUR : 0;
  process.stderr.write(`${JSON.stringify({ msg: 'the clock jumps', at: new Date().toISOString() })}\n`);
});
