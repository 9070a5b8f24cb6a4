// The seed: which latent the pad's centre is. A new seed is a new picture.

import { h, hotkey, iconButton } from '/studio/dom.js';
import { SEEDS } from '/studio/state.js';

export const order = 20;
export const region = 'side';

const RANDOM = 1_000_000; // random seeds stay short enough to be told to somebody

export function mount({ store }) {
  const field = h('input', { type: 'text', inputmode: 'numeric', 'aria-label': 'Seed', class: 'seed', autocomplete: 'off', maxlength: 16 });
  const go = (seed) => {
    store.set({ seed: Math.min(SEEDS - 1, Math.max(0, seed)), x: 0, y: 0, photo: null, mix: null });
    store.commit();
  };
  const next = () => go(store.get().seed + 1);
  const previous = () => go(store.get().seed - 1);
  const random = () => go(Math.floor(Math.random() * RANDOM));

  field.addEventListener('change', () => {
    const typed = field.value.trim();
    const seed = Number(typed);
    if (/^\d+$/.test(typed) && Number.isSafeInteger(seed)) go(seed);
    else field.value = store.get().seed;
  });
  field.addEventListener('focus', () => field.select());
  hotkey('r', random);
  hotkey('n', next);
  hotkey('p', previous);
  store.subscribe(({ seed }) => { if (document.activeElement !== field || Number(field.value) !== seed) field.value = seed; });

  return h('section', { class: 'panel' },
    h('div', { class: 'row' },
      h('h2', {}, 'Seed'),
      h('span', { class: 'grow' }),
      iconButton('left', 'Previous seed (P)', previous),
      field,
      iconButton('right', 'Next seed (N)', next),
      iconButton('shuffle', 'Random seed (R)', random, { class: 'icon strong' })));
}
