// Presets: recipes with a name, kept by this browser for this generator, and as a file to take along. They are JSON, nothing else.

import { h, iconButton } from '/studio/dom.js';
import { download } from '/studio/film.js';
import { decode, encode } from '/studio/state.js';

export const order = 55;
export const region = 'side';

const MOST = 200;
const SIDE = 80; // pixels of a small picture

export function mount({ store, model, paint, notice }) {
  const place = `allaprima.presets.${model.name}`;
  let presets = read(localStorage.getItem(place)) ?? []; // [{name, state}]
  const list = h('ol', { class: 'keys-row', 'aria-label': 'Presets' });
  const file = h('input', { type: 'file', accept: 'application/json', hidden: true, 'aria-label': 'Choose presets' });
  const keep = iconButton('save', 'Keep the presets as a file', () => download(
    new Blob([JSON.stringify({ presets }, null, 1)], { type: 'application/json' }), `${model.name}-presets.json`));
  const images = new WeakMap(); // preset → its image

  /** Only what could be painted comes in; the server judges strictly. Null for what is no list of presets. */
  function read(text) {
    try {
      const parsed = JSON.parse(text);
      const found = (Array.isArray(parsed) ? parsed : parsed.presets).map(({ name, state }) => (
        { name: String(name).slice(0, 60), state: decode(encodeURIComponent(JSON.stringify(state))) }));
      return found.filter(({ state }) => state !== null).slice(0, MOST);
    } catch {
      return null;
    }
  }
  function change(next) {
    presets = next.slice(0, MOST);
    localStorage.setItem(place, JSON.stringify(presets.map(({ name, state }) => ({ name, state: JSON.parse(encode(state)) }))));
    show();
  }
  file.addEventListener('change', async () => {
    const [chosen] = file.files;
    file.value = '';
    if (!chosen) return;
    const found = read(await chosen.text());
    if (found?.length) change([...presets, ...found]);
    else notice('This file holds no presets', 'bad');
  });
  function imageOf(preset) {
    if (!images.has(preset)) {
      const image = h('img', { alt: '' });
      images.set(preset, image);
      paint(preset.state, SIDE).then((blob) => {
        image.onload = () => URL.revokeObjectURL(image.src);
        image.src = URL.createObjectURL(blob);
      }, () => {});
    }
    return images.get(preset);
  }
  function item(preset) {
    const name = h('input', { class: 'name', value: preset.name, maxlength: 60, 'aria-label': 'Name of the preset' });
    name.addEventListener('change', () => { preset.name = name.value; change(presets); });
    const go = h('button', { type: 'button', class: 'end', 'aria-label': `Go to ${preset.name}`, onclick: () => { store.set(preset.state); store.commit(); } }, imageOf(preset));
    return h('li', { class: 'row direction' }, go, h('div', { class: 'grow' }, name),
      iconButton('close', `Remove ${preset.name}`, () => change(presets.filter((one) => one !== preset))));
  }
  function show() {
    list.replaceChildren(...presets.map(item));
    keep.disabled = !presets.length;
  }
  const panel = h('details', { class: 'panel fold' },
    h('summary', {}, h('h2', {}, 'Presets')),
    h('div', { class: 'row' },
      h('button', { type: 'button', class: 'chip', onclick: () => change([...presets, { name: `Preset ${presets.length + 1}`, state: store.get() }]) }, 'Keep this picture'),
      h('span', { class: 'grow' }),
      h('button', { type: 'button', class: 'chip', onclick: () => file.click() }, 'Open …'), keep, file),
    list);
  show();
  return panel;
}
