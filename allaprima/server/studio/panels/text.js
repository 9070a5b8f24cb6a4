// A wish in words, and a second one to go to: the picture follows while one types.

import { h, slider } from '/studio/dom.js';

export const order = 12;
export const region = 'side';

const PAUSE_MS = 60; // of typing, before the picture follows
const LONGEST = 1000;

export function mount({ store, model }) {
  if (!model.follows.includes('text')) return null;
  const first = field('What should it show?', 'text', 'wish');
  const second = field('… on the way to what?', 'other_text', 'other-wish');
  const share = h('output', {});
  const range = slider({
    label: 'Between the two wishes', min: 0, max: 1, step: 0.01, reset: 0.5,
    oninput: (text_share) => store.set({ text_share, mix: null }),
    onchange: store.commit,
  });
  const between = h('div', { class: 'row' }, range.element, share);
  store.subscribe((state) => {
    first.show(state.text);
    second.show(state.other_text);
    range.set(state.text_share);
    share.textContent = `${Math.round(state.text_share * 100)} %`;
    second.element.hidden = state.text === null;
    between.hidden = state.text === null || state.other_text === null;
  });
  return h('section', { class: 'panel' }, h('h2', {}, h('label', { for: 'wish' }, 'In words')),
    first.element, second.element, between);

  function field(placeholder, key, id) {
    const element = h('textarea', {
      id, rows: 2, maxlength: LONGEST, placeholder, 'aria-label': placeholder, autocomplete: 'off', spellcheck: 'true',
    });
    let timer = 0;
    element.addEventListener('input', () => {
      clearTimeout(timer);
      timer = setTimeout(() => follow(), PAUSE_MS);
    });
    element.addEventListener('change', () => { clearTimeout(timer); follow(); store.commit(); });
    element.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey) { event.preventDefault(); element.blur(); }
    });
    function follow() {
      const text = element.value.trim() || null;
      if (text === store.get()[key]) return;
      const alone = key === 'text' && text === null ? { other_text: null, text_share: 0 } : {}; // no way from nothing
      store.set({ [key]: text, mix: null, ...alone });
    }
    return {
      element,
      show(text) {
        if (document.activeElement !== element) element.value = text ?? '';
      },
    };
  }
}
