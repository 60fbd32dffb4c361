/**
 * Preloaded into a worker (`node --import`): SIGWINCH moves this process's clock, the way a suspended laptop or a time
 * server does: 61 s ahead the first time, back again the second. Timers and the monotonic clock are not touched.
 * (Temporal's workers take SIGUSR2 for a request to shut down.)
 */
const SHIFT_MS = 61_000;
const RealDate = Date;
let shiftMs = 0;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [RealDate.now() + shiftMs] : args, newTarget) as Date,
  get: (target, name, receiver) =>
    name === 'now' ? () => RealDate.now() + shiftMs : (Reflect.get(target, name, receiver) as unknown),
});

process.on('SIGWINCH', () => {
  shiftMs = shiftMs === 0 ? SHIFT_MS : 0;
});
