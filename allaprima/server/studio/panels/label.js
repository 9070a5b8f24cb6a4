// The class: chips while they fit, a list that can be searched beyond that.

import { h } from '/studio/dom.js';

export const order = 40;
export const region = 'side';

const CHIPS = 16;

export function mount({ store, model }) {
  if (!model.classes.length) return null;
  const choose = (label) => {
    store.set({ label, mix: null });
    store.commit();
  };
  const head = h('h2', { id: 'class-title' }, 'Class');
  return h('section', { class: 'panel' }, head, model.classes.length <= CHIPS ? chips() : list());

  function chips() {
    const all = [[null, 'any'], ...model.classes.map((name) => [name, name])].map(([label, text]) =>
      [label, h('button', { type: 'button', class: 'chip', 'data-theirs': label !== null, onclick: () => choose(label) }, text)]);
    store.subscribe((state) => {
      for (const [label, chip] of all) chip.setAttribute('aria-pressed', String(label === state.label));
    });
    return h('div', { class: 'chips', role: 'group', 'aria-labelledby': 'class-title' }, ...all.map(([, chip]) => chip));
  }

  function list() {
    const select = h('select', { 'aria-labelledby': 'class-title' },
      h('option', { value: '' }, 'any'), ...model.classes.map((name, i) => h('option', { value: i, 'data-theirs': true }, name)));
    select.addEventListener('change', () => choose(select.value === '' ? null : model.classes[select.value]));
    store.subscribe(({ label }) => { select.value = label === null ? '' : model.classes.indexOf(label); });
    return select;
  }
}
