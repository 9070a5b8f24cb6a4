// Two pins and what lies between them. A pin is a recipe, not a picture: it is painted again wherever it is opened.

import { h, iconButton, setIcon, slider, hotkey } from '/studio/dom.js';
import { pointOf } from '/studio/state.js';

export const order = 50;
export const region = 'side';

const SECONDS = 6; // from one pin to the other

export function mount({ store, paint, notice }) {
  const pins = ['a', 'b'].map((key) => createPin(key));
  const flip = h('button', { type: 'button', class: 'chip', title: 'From one pin to the other (Q)', onclick: compare }, 'A/B');
  const play = iconButton('play', 'Go to and fro between the pins', toggle);
  const range = slider({
    label: 'Between the pins', min: 0, max: 1, step: 0.001, reset: 0.5,
    oninput: (mix) => { stop(); store.set({ mix }); },
    onchange: store.commit,
  });
  // what later layers see of the noise may come from elsewhere between the pins
  const finer = { mix_middle: level('mix_middle', 'Middle'), mix_fine: level('mix_fine', 'Fine') };
  const apart = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', title: 'Coarse, middle and fine apart', onclick: toggleLevels }, 'Levels');
  const rows = Object.values(finer).map(({ name, element }) => h('label', { class: 'row named' }, h('span', { class: 'help' }, name), element));
  function level(key, name) {
    const made = slider({
      label: `${name}, between the pins`, min: 0, max: 1, step: 0.001, reset: 0.5,
      oninput: (value) => { stop(); store.set({ mix: store.get().mix ?? 0, [key]: value }); },
      onchange: store.commit,
    });
    return { ...made, name };
  }
  function toggleLevels() {
    const { mix, mix_middle: middle } = store.get();
    const share = middle === null ? mix ?? 0 : null;
    store.set({ mix: mix ?? 0, mix_middle: share, mix_fine: share });
    store.commit();
  }
  let going = null; // {phase, before} while playing
  let held = null; // what was pinned when the slider was last shown

  function compare() {
    if (flip.disabled) return;
    stop();
    store.set({ mix: (store.get().mix ?? 1) < 0.5 ? 1 : 0 });
    store.commit();
  }
  function toggle() {
    if (going) return stop(true);
    const phase = Math.acos(1 - 2 * (store.get().mix ?? 0)) / Math.PI;
    going = { phase, before: performance.now() };
    setIcon(play, 'pause');
    requestAnimationFrame(tick);
  }
  function stop(commit = false) {
    if (!going) return;
    going = null;
    setIcon(play, 'play');
    if (commit) store.commit();
  }
  function tick(now) {
    if (!going) return;
    going.phase += Math.min(0.1, (now - going.before) / 1000) / SECONDS;
    going.before = now;
    const mix = (1 - Math.cos(Math.PI * going.phase)) / 2; // slow at the pins
    store.set({ mix: Math.round(mix * 1e4) / 1e4 });
    requestAnimationFrame(tick);
  }

  function createPin(key) {
    const name = key.toUpperCase();
    const image = h('img', { alt: '', hidden: true });
    const main = h('button', { type: 'button', class: 'pin', onclick: use }, image, h('b', { 'aria-hidden': 'true' }, name));
    const clear = iconButton('close', `Clear pin ${name}`, () => change(null), { class: 'icon clear', hidden: true });
    let shown;

    function use() {
      const pin = store.get()[key];
      stop();
      if (!pin) return change(pointOf(store.get()));
      store.set({ ...pin, mix: null });
      store.commit();
    }
    function change(pin) {
      stop();
      if (pin && store.get().mix !== null) return notice('A mix cannot be a pin itself: move the pad first', 'bad');
      store.set({ [key]: pin, mix: null });
      store.commit();
    }
    async function show(pin) {
      const recipe = JSON.stringify(pin);
      if (recipe === shown) return;
      shown = recipe;
      const label = pin ? `Go to pin ${name}` : `Pin this picture as ${name} (key ${name})`;
      main.setAttribute('aria-label', label);
      main.title = label;
      clear.hidden = image.hidden = !pin;
      if (!pin) return;
      try {
        const blob = await paint(pin, 136);
        if (recipe !== shown) return; // pinned again meanwhile
        URL.revokeObjectURL(image.src);
        image.src = URL.createObjectURL(blob);
      } catch (error) {
        notice(`Pin ${name} could not be painted: ${error.message}`, 'bad');
      }
    }
    hotkey(key, () => change(pointOf(store.get())));
    return { element: h('div', { class: 'slot' }, main, clear), show };
  }

  hotkey('q', compare);
  const hint = h('p', { class: 'help' }, 'Pin two pictures, then slide from one to the other.');
  const between = h('div', { class: 'between' }, pins[0].element, range.element, pins[1].element);
  store.subscribe((state) => {
    pins[0].show(state.a);
    pins[1].show(state.b);
    const ready = Boolean(state.a && state.b);
    hint.hidden = ready;
    range.element.disabled = play.disabled = flip.disabled = apart.disabled = !ready;
    const isApart = ready && state.mix_middle !== null;
    apart.setAttribute('aria-pressed', String(isApart));
    for (const row of rows) row.hidden = !isApart;
    for (const [key, { set }] of Object.entries(finer)) set(state[key] ?? state.mix ?? 0);
    if (state.mix === null) stop();
    between.classList.toggle('live', state.mix !== null);
    if (state.mix !== null || held !== ready) range.set(state.mix ?? 0);
    held = ready;
  });
  return h('section', { class: 'panel' },
    h('div', { class: 'row' }, h('h2', {}, 'Two pins'), h('span', { class: 'grow' }), apart, flip, play),
    between, ...rows,
    hint);
}
