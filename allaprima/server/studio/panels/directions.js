// Directions: ways through the latent space that change the picture the most, with what lies at both ends of each.

import { h, slider } from '/studio/dom.js';
import { withDirection } from '/studio/state.js';

export const order = 35;
export const region = 'side';
const FEWEST_SEEN = 4; // the others are a click away
const LARGEST_THUMBNAIL = 256; // pixels: larger pictures take too long to paint sixteen of
const SIDE = 80; // of a thumbnail
const REST = 700; // milliseconds without a change before the ends are painted anew

export function mount({ store, model, paint }) {
  const count = model.directions;
  if (!count) return null;
  const names = recall(model.name);
  const rows = Array.from({ length: count }, (_, k) => row(k));

  function row(k) {
    const range = slider({
      label: `Direction ${k + 1}`, min: -1, max: 1, step: 0.01, reset: 0,
      oninput: (value) => store.set({ directions: moved(store.get().directions, k, value), mix: null }),
      onchange: store.commit,
    });
    const name = h('input', {
      class: 'name', value: names[k] ?? `Direction ${k + 1}`, 'aria-label': `Name of direction ${k + 1}`, maxlength: 40,
      onchange: () => { names[k] = name.value; remember(model.name, names); },
    });
    const ends = [-1, 1].map((at) => h('button', {
      type: 'button', class: 'end', 'aria-label': `Direction ${k + 1}, ${at < 0 ? 'one' : 'other'} end`,
      onclick: () => { store.set({ directions: moved(store.get().directions, k, at), mix: null }); store.commit(); },
    }));
    const element = h('div', { class: 'direction' }, ends[0], h('div', { class: 'grow' }, name, range.element), ends[1]);
    return { element, range, ends };
  }

  const moved = (directions, k, value) => withDirection(directions, k, value, count);

  let timer = 0, painted = 0;
  async function paintEnds() {
    const turn = ++painted;
    const state = { ...store.get(), mix: null };
    for (const [k, { ends, element }] of rows.entries()) {
      if (element.hidden) continue;
      for (const [place, at] of [-1, 1].entries()) {
        const picture = await paint({ ...state, directions: moved(state.directions, k, at) }, SIDE).catch(() => null);
        if (turn !== painted || !picture) return; // something newer is being painted
        const address = URL.createObjectURL(picture);
        const image = h('img', { src: address, alt: '', onload: () => URL.revokeObjectURL(address) });
        ends[place].replaceChildren(image);
      }
    }
  }
  const later = () => {
    clearTimeout(timer);
    if (Math.max(model.width, model.height) <= LARGEST_THUMBNAIL) timer = setTimeout(paintEnds, REST);
  };

  const more = h('button', { type: 'button', class: 'quiet', onclick: () => showAll(true) }, 'More directions');
  function showAll(all) {
    rows.forEach(({ element }, k) => { element.hidden = !all && k >= FEWEST_SEEN; });
    more.hidden = all || count <= FEWEST_SEEN;
    later();
  }
  let last = '';
  store.subscribe((state) => {
    rows.forEach(({ range }, k) => range.set(state.directions?.[k] ?? 0));
    const { x, y, a, b, mix, directions, ...wish } = state; // a drift does not paint thumbnails all the time
    const key = JSON.stringify(wish);
    if (key !== last) later();
    last = key;
  });
  showAll(false);
  return h('section', { class: 'panel directions' },
    h('div', { class: 'row' }, h('h2', {}, 'Directions'), h('span', { class: 'grow' }),
      h('button', { type: 'button', class: 'quiet', onclick: () => { store.set({ directions: null }); store.commit(); } }, 'Reset')),
    ...rows.map(({ element }) => element), more);
}

const recall = (name) => {
  try {
    return JSON.parse(localStorage.getItem(`directions of ${name}`)) ?? {};
  } catch {
    return {};
  }
};
const remember = (name, names) => {
  try {
    localStorage.setItem(`directions of ${name}`, JSON.stringify(names));
  } catch { /* a browser without storage keeps them until the page is closed */ }
};
