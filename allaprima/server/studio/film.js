// Motions (allaprima/runtime/film.py) as the page plays them, and films of them as files.

import { h } from '/studio/dom.js';
import { pointOf, wrap } from '/studio/state.js';

/** Of a share of the way, as runtime/film.py has them. */
export const EASINGS = {
  smooth: (t) => t * t * (3 - 2 * t),
  linear: (t) => t,
  in: (t) => t * t,
  out: (t) => t * (2 - t),
  hold: (t) => (t >= 1 ? 1 : 0),
};
const USUAL = 'mp4';
const SIZES = [256, 512, 1024];

/** What a circle shows at a share of its time: a change of the state. */
export function onCircle({ point, reach }, share) {
  const angle = 2 * Math.PI * share;
  return {
    ...point, mix: null,
    x: wrap(point.x + reach * (Math.cos(angle) - 1)),
    y: wrap(point.y + reach * Math.sin(angle)),
  };
}

/** How long a timeline is. */
export const secondsOf = ({ keys, loop }) => keys.slice(0, loop ? keys.length : -1).reduce((sum, key) => sum + key.seconds, 0);

/** What a timeline shows at a time: a change of the state, through its two pins. */
export function onTimeline(timeline, seconds) {
  const { keys, loop } = timeline;
  let left = loop ? seconds % secondsOf(timeline) : Math.min(seconds, secondsOf(timeline));
  for (let i = 0; i < keys.length - (loop ? 0 : 1); i += 1) {
    if (left <= keys[i].seconds) {
      const share = EASINGS[keys[i].easing](left / keys[i].seconds);
      const [a, b] = [keys[i].point, keys[(i + 1) % keys.length].point];
      if (share <= 0) return { ...a, mix: null };
      if (share >= 1) return { ...b, mix: null };
      return { a, b, mix: share };
    }
    left -= keys[i].seconds;
  }
  return { ...keys.at(-1).point, mix: null };
}

/** A recipe without what is as usual in it: nulls are the server's defaults too. */
const lean = (point) => Object.fromEntries(Object.entries(point).filter(([, value]) => value !== null));

/** A state as a moment of a film has it: pins that are not mixed are left out. */
export const seen = (state) => (state.mix === null ? lean(pointOf(state)) : lean({ ...state, a: lean(state.a), b: lean(state.b) }));

/**
 * Sets `change(seconds since the start)` for every screen frame, until `stop()` or until a hand changes something else.
 * `ended(untouched)` is told whether the state is still what was played last.
 */
export function player(store, change, ended) {
  let began = null;
  let mine = null; // the state that was set last
  function tick(now) {
    if (began === null) return;
    if (mine && mine !== store.get()) return stop();
    store.set(change((now - began) / 1000));
    mine = store.get();
    requestAnimationFrame(tick);
  }
  function stop() {
    if (began === null) return;
    began = null;
    ended(mine === store.get());
  }
  return {
    start() { began = performance.now(); mine = null; requestAnimationFrame(tick); },
    stop,
    get playing() { return began !== null; },
  };
}

/** The row that chooses a format and a size, and saves: `saver(studio).element`, `.offer(() => motion or null)`. */
export function saver({ model, picture, notice }) {
  const format = h('select', { 'aria-label': 'Format' });
  const own = Math.max(model.width, model.height);
  const size = h('select', { 'aria-label': 'Size' },
    ...[own, ...SIZES.filter((one) => one > own)].map((one) => h('option', { value: one === own ? 0 : one }, `${one} px`)));
  const button = h('button', { type: 'button', class: 'chip', disabled: true, onclick: () => (leave ? leave.abort() : save()) }, 'Save film');
  let motion = () => null;
  let leave = null; // an AbortController while a film is being made
  formats().then((all) => format.replaceChildren(...all.map(({ name, title }) => h('option', { value: name, selected: name === USUAL }, title))));

  async function save() {
    const made = motion();
    if (!made) return;
    leave = new AbortController();
    button.textContent = 'Stop';
    try {
      const blob = await fetchFilm({ motion: made, fps: 30, size: Number(size.value), crisp: picture.crisp }, format.value, leave.signal);
      const { suffix } = (await formats()).find(({ name }) => name === format.value);
      download(blob, `${model.name}${suffix}`);
      notice('The film is saved');
    } catch (error) {
      if (error.name === 'AbortError') notice('The film was stopped');
      else notice(`The film could not be made: ${error.message}`, 'bad');
    } finally {
      leave = null;
      button.textContent = 'Save film';
    }
  }
  return {
    element: h('div', { class: 'row' }, format, size, button),
    /** What a press of the button saves. */
    offer(next) { motion = next; },
    set ready(ready) { button.disabled = !ready; },
  };
}

let known = null;
const formats = () => (known ??= fetch('/api/film/formats').then((answer) => answer.json()));

async function fetchFilm(film, format, signal) {
  const answer = await fetch(`/api/film?format=${encodeURIComponent(format)}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(film), signal,
  });
  if (!answer.ok) {
    const { problem, remedy } = await answer.json();
    throw new Error(`${problem}: ${remedy}`);
  }
  return answer.blob();
}

/** Give the browser a file. */
export function download(blob, name) {
  const link = h('a', { href: URL.createObjectURL(blob), download: name.replace(/[^\p{L}\p{N}._-]+/gu, '_') });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
