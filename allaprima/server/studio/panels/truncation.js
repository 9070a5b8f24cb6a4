// Truncation: the length of the latent. Below 1 safer and more alike, above 1 bolder.

import { h, slider } from '/studio/dom.js';

export const order = 30;
export const region = 'side';

export function mount({ store }) {
  const value = h('output', {});
  const range = slider({
    label: 'Truncation', min: 0, max: 1.5, step: 0.01, reset: 1,
    oninput: (truncation) => store.set({ truncation, mix: null }),
    onchange: store.commit,
  });
  store.subscribe(({ truncation }) => {
    range.set(truncation);
    value.textContent = truncation.toFixed(2);
  });
  return h('section', { class: 'panel' },
    h('div', { class: 'row' }, h('h2', {}, 'Truncation'), h('span', { class: 'grow' }), value),
    range.element,
    h('div', { class: 'row ends' }, h('span', {}, 'calm'), h('span', { class: 'grow' }), h('span', {}, 'wild')));
}
