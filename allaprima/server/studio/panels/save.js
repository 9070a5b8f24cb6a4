// Keeping a picture: as a PNG of its own size, or as a link that holds its recipe.

import { h, hotkey, icon, iconButton } from '/studio/dom.js';
import { download } from '/studio/film.js';
import { encode } from '/studio/state.js';

export const order = 30;
export const region = 'tools';

export function mount({ store, model, paint, notice }) {
  async function save() {
    const state = store.get();
    try {
      download(await paint(state), nameOf(state));
      notice(`Saved ${nameOf(state)}`);
    } catch (error) {
      notice(`The picture could not be saved: ${error.message}`, 'bad');
    }
  }
  /** Says what it shows; two different pictures of a seed differ in their time. */
  function nameOf(state) {
    const time = new Date().toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
    const safe = (text) => text.replace(/[^\p{L}\p{N}_-]+/gu, '_');
    return [safe(model.name), state.label && safe(state.label), `seed${state.seed}`, time].filter(Boolean).join('-') + '.png';
  }
  async function copy() {
    const address = `${location.origin}${location.pathname}#${encodeURIComponent(encode(store.get()))}`;
    try {
      await navigator.clipboard.writeText(address);
      notice('The link is copied');
    } catch {
      notice('Copy the link from the address bar', 'bad'); // not every browser allows it without https
    }
  }
  hotkey('s', save);
  return h('div', { class: 'group' },
    iconButton('link', 'Copy a link to this picture', copy),
    h('button', { type: 'button', class: 'primary', 'aria-label': 'Save PNG', title: 'Save as PNG (S)', onclick: save }, icon('save'), h('span', {}, 'Save PNG')));
}
