// The page's language, at the end of the controls.

import { h } from '/studio/dom.js';
import { LANGUAGES, choose, language } from '/studio/words.js';

export const order = 100;
export const region = 'side';

export function mount() {
  return h('p', { class: 'panel chips', 'data-theirs': true }, ...Object.entries(LANGUAGES).map(([name, words]) => h('button', {
    type: 'button', class: 'text', lang: name, 'aria-pressed': String(name === language()), onclick: () => choose(name),
  }, words)));
}
