// Keys in a row, and the ways between them: a film that is made rather than played.

import { h, hotkey, iconButton, setIcon } from '/studio/dom.js';
import { EASINGS, download, onTimeline, player, saver, secondsOf } from '/studio/film.js';
import { pointOf } from '/studio/state.js';

export const order = 62;
export const region = 'side';

const MOST_KEYS = 200;
const NAMES = { smooth: 'smooth', linear: 'even', in: 'speeding up', out: 'slowing down', hold: 'a cut' };

export function mount(studio) {
  const { store, paint, notice, model } = studio;
  const film = saver(studio);
  const list = h('ol', { class: 'keys-row' });
  const add = h('button', { type: 'button', class: 'chip', title: 'Add this picture as a key (K)', onclick: addKey }, 'Add a key');
  const play = iconButton('play', 'Play the keys', toggle, { disabled: true });
  const closed = iconButton('loop', 'From the last key back to the first', toggleClosed, { 'aria-pressed': 'true' });
  const keep = iconButton('save', 'Keep the keys as a file for `allaprima film --recipe`', keepRecipe, { disabled: true });
  const total = h('output', { class: 'grow' }, '');
  const hint = h('p', { class: 'help' }, 'Keys are pictures to pass through. Add two or more.');
  let keys = []; // {point, seconds, easing, image}
  let loop = true;

  const motion = () => ({ kind: 'timeline', loop, keys: keys.map(({ point, seconds, easing }) => ({ point, seconds, easing })) });
  let pins = { a: null, b: null }; // those of before, which come back
  const runner = player(
    store,
    (seconds) => {
      if (!loop && seconds >= secondsOf(motion())) queueMicrotask(runner.stop); // after its last picture
      const change = onTimeline(motion(), seconds);
      return change.mix === null ? { ...change, ...pins } : change;
    },
    (untouched) => {
      setIcon(play, 'play');
      const { a, b, mix } = store.get();
      if (untouched && mix !== null) store.set({ ...(mix < 0.5 ? a : b), ...pins, mix: null }); // where it stopped becomes a picture
      store.commit();
    },
  );

  function toggle() {
    if (runner.playing) return runner.stop();
    const { a, b } = store.get();
    pins = { a, b };
    setIcon(play, 'pause');
    runner.start();
  }
  async function addKey() {
    const state = store.get();
    if (state.mix !== null) return notice('A mix cannot be a key itself: move the pad first', 'bad');
    if (keys.length >= MOST_KEYS) return notice('There is no room for more keys', 'bad');
    const key = { point: pointOf(state), seconds: 2, easing: 'smooth', image: h('img', { alt: '' }) };
    keys = [...keys, key];
    panel.open = true;
    show();
    try {
      const picture = await paint(key.point, 80);
      key.image.onload = () => URL.revokeObjectURL(key.image.src);
      key.image.src = URL.createObjectURL(picture);
    } catch (error) {
      notice(`The key could not be painted: ${error.message}`, 'bad');
    }
  }
  function toggleClosed() {
    loop = !loop;
    closed.setAttribute('aria-pressed', String(loop));
    show();
  }
  function keepRecipe() {
    download(new Blob([JSON.stringify({ motion: motion() }, null, 1)], { type: 'application/json' }), `${model.name}-film.json`);
  }
  function show() {
    list.replaceChildren(...keys.map(item));
    const ready = keys.length >= 2;
    play.disabled = keep.disabled = !ready;
    film.ready = ready;
    hint.hidden = ready;
    total.textContent = ready ? `${secondsOf(motion()).toFixed(1)} s` : '';
    if (!ready) runner.stop();
  }
  function item(key, place) {
    const last = !loop && place === keys.length - 1;
    const go = h('button', { type: 'button', class: 'end', 'aria-label': `Go to key ${place + 1}`, onclick: () => { store.set({ ...key.point, mix: null }); store.commit(); } }, key.image);
    const seconds = h('input', { type: 'number', min: 0.1, max: 600, step: 0.1, value: key.seconds, class: 'seconds', 'aria-label': `Seconds from key ${place + 1} on` });
    seconds.addEventListener('change', () => {
      const value = Number(seconds.value);
      if (value >= 0.1 && value <= 600) key.seconds = value;
      show();
    });
    const easing = h('select', { 'aria-label': `The way from key ${place + 1}` },
      ...Object.keys(EASINGS).map((name) => h('option', { value: name, selected: name === key.easing }, NAMES[name])));
    easing.addEventListener('change', () => { key.easing = easing.value; });
    return h('li', { class: 'row' }, go,
      last ? h('span', { class: 'help grow' }, 'the end') : h('span', { class: 'row grow' }, seconds, h('span', { class: 'help' }, 's'), easing),
      iconButton('close', `Remove key ${place + 1}`, () => { keys = keys.filter((one) => one !== key); show(); }));
  }
  film.offer(motion);
  hotkey('k', addKey);
  show();
  const panel = h('details', { class: 'panel fold' },
    h('summary', {}, h('h2', {}, 'Keys')),
    h('div', { class: 'row' }, add, total, keep, closed, play),
    hint, list, film.element);
  return panel;
}
