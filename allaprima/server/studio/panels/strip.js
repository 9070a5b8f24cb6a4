// The history as a strip of small pictures: a press goes back to one.

import { h } from '/studio/dom.js';
import { encode } from '/studio/state.js';

export const order = 10;
export const region = 'under';

const SHOWN = 24;
const SIDE = 96; // pixels of a small picture

export function mount({ store, paint }) {
  const list = h('ol', { class: 'strip', 'aria-label': 'History' });
  const addresses = new Map(); // recipe → promise of its small picture's address
  let shown = null; // what of the store the strip shows
  let last = Promise.resolve();

  /** One small picture after another: the live picture goes first. */
  function addressOf(state) {
    const recipe = encode(state);
    if (!addresses.has(recipe)) {
      last = last.then(async () => URL.createObjectURL(await paint(state, SIDE))).catch(() => {
        addresses.delete(recipe); // it is tried again when the strip changes
        return null;
      });
      addresses.set(recipe, last);
    }
    return addresses.get(recipe);
  }
  function imageOf(state) {
    const image = h('img', { alt: '' });
    addressOf(state).then((address) => { if (address) image.src = address; });
    return image;
  }
  function show() {
    const { past, at } = store;
    if (shown?.past === past && shown.at === at) return;
    shown = { past, at };
    const first = Math.max(0, past.length - SHOWN);
    const kept = new Set(past.slice(first).map(encode));
    for (const [recipe, address] of addresses) {
      if (kept.has(recipe)) continue;
      addresses.delete(recipe);
      address.then((one) => one && URL.revokeObjectURL(one));
    }
    list.replaceChildren(...past.slice(first).map((state, i) => h('li', {}, h('button', {
      type: 'button', class: 'end', 'aria-label': `Go to picture ${first + i + 1} of the history`,
      'aria-current': first + i === at ? 'true' : null, onclick: () => store.go(first + i),
    }, imageOf(state)))));
    list.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }
  store.subscribe(show);
  return list;
}
