// What something other than a hand can move: sounds, MIDI controllers, OSC. All go the same way into the state.

import { withDirection, wrap } from '/studio/state.js';

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const SEEDS_OF_A_KNOB = 127;

/** `{name, title, low, high, ready(), get(), set(value)}` each; `set` takes any number and brings it into the range. */
export function parametersOf({ store, model }) {
  const plain = (name, title, low, high, more = {}) => ({
    name, title, low, high,
    ready: () => true,
    get: () => store.get()[name],
    set: (value) => store.set({ [name]: clamp(value, low, high), mix: null }),
    ...more,
  });
  const turning = (name, title) => plain(name, title, -1, 1, { set: (value) => store.set({ [name]: wrap(value), mix: null }) });
  const found = [
    turning('x', 'Pad, across'),
    turning('y', 'Pad, down'),
    plain('truncation', 'Truncation', 0, 2),
    plain('mix', 'Between the pins', 0, 1, {
      ready: () => Boolean(store.get().a && store.get().b),
      get: () => store.get().mix ?? 0,
      set: (value) => store.set({ mix: clamp(value, 0, 1) }),
    }),
    plain('seed', 'Seed', 0, SEEDS_OF_A_KNOB, { set: (value) => store.set({ seed: Math.round(Math.max(0, value)), mix: null }) }),
  ];
  if (model.follows.includes('text')) {
    found.push(plain('text_share', 'Between the two wishes', 0, 1, { ready: () => store.get().other_text !== null }));
  }
  for (let i = 0; i < model.directions; i += 1) {
    found.push(plain(`direction/${i + 1}`, `Direction ${i + 1}`, -1, 1, {
      get: () => store.get().directions?.[i] ?? 0,
      set: (value) => store.set({
        directions: withDirection(store.get().directions, i, clamp(value, -1, 1), model.directions), mix: null,
      }),
    }));
  }
  return found;
}

/** `select` with the parameters. */
export const options = (parameters, h) => parameters.map(({ name, title }) => h('option', { value: name }, title));
