// The state of the picture: a small JSON recipe (allaprima/runtime/session.py), its history, and its place in the address.
// `set` changes what is seen; `commit` closes a gesture, and is what undo goes back to.

export const DEFAULT = Object.freeze({
  format: 1, seed: 0, x: 0, y: 0, truncation: 1, label: null, text: null, other_text: null, text_share: 0, sound: null,
  directions: null, photo: null, a: null, b: null, mix: null,
  mix_middle: null, mix_fine: null,
});
export const SEEDS = 2 ** 53;
const HISTORY = 200;

/** An angle in units of π, brought into [-1, 1): the pad is a torus. */
export const wrap = (v) => v - 2 * Math.floor((v + 1) / 2);

/** `directions` with the `k`-th of `count` moved; null when all rest. */
export function withDirection(directions, k, value, count) {
  const next = Array.from({ length: count }, (_, i) => directions?.[i] ?? 0);
  next[k] = value;
  return next.some((one) => one) ? next : null;
}

/** The part of a state that a pin keeps. */
export const pointOf = ({ seed, x, y, truncation, label, text, other_text, text_share, sound, directions, photo }) => (
  { seed, x, y, truncation, label, text, other_text, text_share, sound, directions, photo });

export function createStore(initial) {
  let state = Object.freeze({ ...DEFAULT, ...initial });
  let past = [state];
  let at = 0;
  const listeners = new Set();

  const show = (next) => {
    const before = state;
    state = Object.freeze(next);
    for (const listener of listeners) listener(state, before);
  };
  const go = (place) => {
    at = place;
    show(past[at]);
  };
  return {
    get: () => state,
    /** Change some keys now; frames follow. */
    set: (change) => show({ ...state, ...change }),
    /** The gesture is over: this is a state to come back to. */
    commit() {
      if (encode(past[at]) === encode(state)) return;
      past = [...past.slice(0, at + 1), state].slice(-HISTORY);
      at = past.length - 1;
      show(state);
    },
    undo: () => at > 0 && go(at - 1),
    redo: () => at < past.length - 1 && go(at + 1),
    /** The states that one can go back to, and which of them is shown. */
    get past() { return past; },
    get at() { return at; },
    go: (place) => past[place] && go(place),
    get canUndo() { return at > 0; },
    get canRedo() { return at < past.length - 1; },
    /** `listener(state, before)` after every change; it is called once at the beginning. */
    subscribe(listener) {
      listeners.add(listener);
      listener(state, state);
    },
  };
}

/** The recipe without what is as usual: short enough for an address. */
export function encode(state) {
  return JSON.stringify(unusual({ ...state, a: state.a && unusual(state.a), b: state.b && unusual(state.b) }));
}
const unusual = (values) => Object.fromEntries(Object.entries(values).filter(([key, value]) => value !== DEFAULT[key]));

/** The state in an address' hash; null if there is none, or none that could be painted. The server judges strictly. */
export function decode(hash) {
  try {
    const read = JSON.parse(decodeURIComponent(hash.replace(/^#/, '')));
    if (!isState(read)) return null;
    const whole = (pin) => (pin ? pointOf({ ...DEFAULT, ...pin }) : null);
    return { ...DEFAULT, ...read, a: whole(read.a), b: whole(read.b) };
  } catch {
    return null;
  }
}

const within = (low, high) => (v) => Number.isFinite(v) && v >= low && v <= high;
const POINT = {
  seed: (v) => Number.isSafeInteger(v) && v >= 0,
  x: within(-1, 1),
  y: within(-1, 1),
  truncation: within(0, 2),
  label: (v) => v === null || typeof v === 'string',
  text: (v) => v === null || typeof v === 'string',
  other_text: (v) => v === null || typeof v === 'string',
  text_share: within(0, 1),
  sound: (v) => v === null || typeof v === 'string',
  photo: (v) => v === null || typeof v === 'string',
  directions: (v) => v === null || (Array.isArray(v) && v.length <= 8 && v.every(within(-1, 1))),
};
const isPoint = (v) => fits(v, POINT);
const orNull = (check) => (v) => v === null || check(v);
const STATE = { ...POINT, format: (v) => v === 1, a: orNull(isPoint), b: orNull(isPoint), mix: orNull(within(0, 1)),
  mix_middle: orNull(within(0, 1)), mix_fine: orNull(within(0, 1)) };

function fits(value, checks) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(([key, v]) => Object.hasOwn(checks, key) && checks[key](v));
}
const isState = (v) => fits(v, STATE) && (v.mix == null || Boolean(v.a && v.b));

/** Keep the address up to date, not more often than browsers allow. */
export function followAddress(store) {
  let timer = 0;
  const write = () => {
    timer = 0;
    const text = encode(store.get());
    history.replaceState(null, '', text === '{}' ? location.pathname : `#${encodeURIComponent(text)}`);
  };
  store.subscribe((state, before) => {
    if (state !== before && !timer) timer = setTimeout(write, 400);
  });
  addEventListener('hashchange', () => {
    const read = decode(location.hash);
    if (read) {
      store.set(read);
      store.commit();
    }
  });
}
