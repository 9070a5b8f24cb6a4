// Films: what was just played, recorded as states at the times when they were seen, or a perfect loop about this picture.

import { h, hotkey, iconButton, setIcon, slider } from '/studio/dom.js';
import { onCircle, player, saver, seen } from '/studio/film.js';
import { pointOf } from '/studio/state.js';

export const order = 60;
export const region = 'side';

const LONGEST_SECONDS = 600;
const MOST_MOMENTS = 20_000;

export function mount(studio) {
  const { store, notice, on } = studio;
  const film = saver(studio);
  const said = h('output', { class: 'grow' }, '');
  const record = iconButton('record', 'Record (V)', toggleRecording, { class: 'icon strong' });
  const play = iconButton('loop', 'Play a perfect loop (L)', toggleLoop, { 'aria-pressed': 'false' });
  let recording = null; // {began, moments} while it runs
  let kept = null; // the motion that would be saved
  let loop = { seconds: 4, reach: 0.25 };

  // -- recording

  function toggleRecording() {
    if (recording) return finish();
    recording = { began: performance.now(), moments: [{ seconds: 0, state: seen(store.get()) }] };
    record.classList.add('on');
    record.title = 'Stop recording (V)';
    clock();
  }
  on('frame', ({ state, shownAt }) => {
    if (!recording || !state) return;
    const seconds = (shownAt - recording.began) / 1000;
    const { moments } = recording;
    if (seconds > moments.at(-1).seconds) moments.push({ seconds, state: seen(state) });
    if (moments.length >= MOST_MOMENTS || seconds > LONGEST_SECONDS - 1) finish();
  });
  function finish() {
    const seconds = Math.min(LONGEST_SECONDS, (performance.now() - recording.began) / 1000 + 0.001);
    keep({ kind: 'recording', moments: recording.moments, seconds: Math.max(seconds, recording.moments.at(-1).seconds + 0.02) });
    recording = null;
    record.classList.remove('on');
    record.title = 'Record (V)';
  }
  function clock() {
    if (!recording) return;
    said.textContent = `● ${((performance.now() - recording.began) / 1000).toFixed(1)} s`;
    setTimeout(clock, 100);
  }

  // -- perfect loop

  let circle = null;
  const runner = player(store, (seconds) => onCircle(circle, (seconds / loop.seconds) % 1), () => {
    play.setAttribute('aria-pressed', 'false');
    setIcon(play, 'loop');
  });
  function toggleLoop() {
    if (runner.playing) {
      runner.stop();
      store.set({ ...circle.point, mix: null });
      return store.commit();
    }
    if (store.get().mix !== null) return notice('A mix has no place on the pad: move the pad first', 'bad');
    circle = { point: pointOf(store.get()), reach: loop.reach };
    keepLoop();
    play.setAttribute('aria-pressed', 'true');
    setIcon(play, 'pause');
    runner.start();
  }
  const keepLoop = () => keep({ kind: 'circle', point: circle.point, ...loop });
  const values = {
    seconds: slider({ label: 'Seconds of the loop', min: 1, max: 20, step: 0.5, reset: 4, oninput: change('seconds'), onchange() {} }),
    reach: slider({ label: 'Reach of the loop', min: 0.02, max: 1, step: 0.01, reset: 0.25, oninput: change('reach'), onchange() {} }),
  };
  function change(key) {
    return (value) => {
      loop = { ...loop, [key]: value };
      values[key].set(value);
      if (circle) { circle.reach = loop.reach; if (kept?.kind === 'circle') keepLoop(); }
    };
  }
  values.seconds.set(loop.seconds);
  values.reach.set(loop.reach);

  function keep(motion) {
    kept = motion;
    film.ready = true;
    const words = motion.kind === 'circle' ? 'a loop' : 'recorded';
    said.textContent = `${motion.seconds.toFixed(1)} s, ${words}`;
  }
  film.offer(() => kept);
  hotkey('v', toggleRecording);
  hotkey('l', toggleLoop);

  return h('section', { class: 'panel film' },
    h('div', { class: 'row' }, h('h2', {}, 'Film'), said, record, play),
    h('label', { class: 'row named' }, h('span', { class: 'help' }, 'Loop, seconds'), values.seconds.element),
    h('label', { class: 'row named' }, h('span', { class: 'help' }, 'Loop, reach'), values.reach.element),
    film.element);
}
