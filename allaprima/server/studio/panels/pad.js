// The latent pad: drag moves, a flick drifts on, arrows step. It is a torus: what leaves on one side comes back on the other.

import { h, hotkey, iconButton } from '/studio/dom.js';
import { wrap } from '/studio/state.js';

export const order = 10;
export const region = 'side';

const STEP = 0.02; // one arrow key; with Shift five times as much
const FLICK = 0.15; // pad halves per second: slower releases stay where they are
const CRUISE = 0.05; // what a drift settles to
const SETTLE = 1.5; // seconds
const TRAIL = 40; // places
const DOTS = 12; // across the pad

export function mount({ store }) {
  const canvas = h('canvas', { class: 'pad', role: 'slider', tabindex: 0, 'aria-label': 'Latent pad', 'aria-valuemin': -1,
    'aria-valuemax': 1, 'aria-describedby': 'pad-help' });
  const driftButton = iconButton('wind', 'Drift (Space)', () => toggleDrift(), { 'aria-pressed': 'false' });
  const element = h('section', { class: 'panel' },
    h('div', { class: 'row' },
      h('h2', {}, 'Latent pad'),
      h('span', { class: 'grow' }),
      iconButton('centre', 'Back to the centre (Home)', home),
      driftButton),
    canvas,
    h('p', { id: 'pad-help', class: 'help' }, 'Drag to move, flick to drift.', h('span', { class: 'keys' }, ' Arrow keys step.')));

  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  let velocity = null; // [x, y] per second while drifting
  let held = null; // {id, samples} while a pointer is down
  let trail = [];
  let before = 0;
  let drifted = null; // the state that the drift last made: another one means that somebody else moved
  let waiting = 0;

  const place = () => [store.get().x, store.get().y];
  const moveTo = (x, y) => store.set({ x: round(wrap(x)), y: round(wrap(y)), mix: null });
  const round = (v) => Math.round(v * 1e5) / 1e5;

  // -- drifting

  function setDrift(v) {
    velocity = v;
    driftButton.setAttribute('aria-pressed', String(Boolean(v)));
    drifted = null;
    if (!v) return store.commit();
    before = performance.now();
    schedule();
  }
  function toggleDrift() {
    if (velocity) return setDrift(null);
    const angle = Math.random() * 2 * Math.PI;
    setDrift([CRUISE * Math.cos(angle), CRUISE * Math.sin(angle)]);
  }
  function drift(now) {
    if (drifted && drifted !== store.get() && drifted.seed === store.get().seed) return setDrift(null);
    const seconds = Math.min(0.1, (now - before) / 1000);
    before = now;
    const speed = Math.hypot(...velocity);
    const settled = CRUISE + (speed - CRUISE) * Math.exp(-seconds / SETTLE);
    velocity = velocity.map((v) => (v / speed) * settled);
    const [x, y] = place();
    moveTo(x + velocity[0] * seconds, y + velocity[1] * seconds);
    drifted = store.get();
  }
  function home() {
    setDrift(null);
    moveTo(0, 0);
    store.commit();
  }

  // -- pointer

  const toPad = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * 2 - 1, ((event.clientY - box.top) / box.height) * 2 - 1];
  };
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || held) return;
    setDrift(null);
    canvas.setPointerCapture(event.pointerId);
    held = { id: event.pointerId, samples: [] };
    drag(event);
  });
  canvas.addEventListener('pointermove', (event) => held?.id === event.pointerId && drag(event));
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);
  canvas.addEventListener('dblclick', home);

  function drag(event) {
    const at = toPad(event);
    held.samples.push([event.timeStamp, ...at]);
    held.samples = held.samples.filter(([time]) => event.timeStamp - time < 120);
    moveTo(...at);
  }
  function release(event) {
    if (held?.id !== event.pointerId) return;
    const [first, last] = [held.samples[0], held.samples.at(-1)];
    held = null;
    const seconds = (event.timeStamp - first[0]) / 1000;
    const v = [(last[1] - first[1]) / seconds, (last[2] - first[2]) / seconds];
    const isFlick = seconds > 0.01 && event.timeStamp - last[0] < 100 && Math.hypot(...v) > FLICK;
    if (isFlick && !calm.matches) setDrift(v);
    else store.commit();
    schedule();
  }

  // -- keys

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener('keydown', (event) => {
    if (event.key === 'Home') home();
    else if (event.key in ARROWS) {
      setDrift(null);
      const step = STEP * (event.shiftKey ? 5 : 1);
      const [x, y] = place();
      moveTo(x + ARROWS[event.key][0] * step, y + ARROWS[event.key][1] * step);
    } else return;
    event.preventDefault();
  });
  canvas.addEventListener('keyup', (event) => event.key in ARROWS && store.commit());
  hotkey(' ', toggleDrift);
  hotkey('escape', () => setDrift(null));

  // -- drawing

  function schedule() {
    if (!waiting) waiting = requestAnimationFrame(tick);
  }
  function tick(now) {
    waiting = 0;
    if (velocity) drift(now);
    draw(now);
    if (velocity || trail.length > 1) schedule();
  }
  function draw(now) {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((length) => Math.round(length * ratio));
    if (!width || !height) return;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const c = canvas.getContext('2d');
    const style = getComputedStyle(canvas);
    const across = (v) => ((v + 1) / 2) * width;
    const down = (v) => ((v + 1) / 2) * height;
    const [x, y] = place();
    c.clearRect(0, 0, width, height);

    c.fillStyle = style.color;
    for (let i = 0; i < DOTS; i += 1) {
      for (let j = 0; j < DOTS; j += 1) {
        const [u, v] = [((i + 0.5) / DOTS) * 2 - 1, ((j + 0.5) / DOTS) * 2 - 1];
        const near = Math.exp(-((wrap(u - x) ** 2 + wrap(v - y) ** 2) / 0.12));
        c.globalAlpha = 0.18 + 0.5 * near;
        c.beginPath();
        c.arc(across(u), down(v), (1 + 1.1 * near) * ratio, 0, 7);
        c.fill();
      }
    }
    trail = trail.filter(([time]) => now - time < 900);
    const end = trail.at(-1);
    if (!end || end[1] !== x || end[2] !== y) trail = [...trail, [now, x, y]].slice(-TRAIL);
    c.strokeStyle = c.fillStyle = style.caretColor; // custom properties come unresolved, these two do not
    c.lineCap = 'round';
    for (let i = 1; i < trail.length; i += 1) {
      const [[, x0, y0], [time, x1, y1]] = [trail[i - 1], trail[i]];
      if (Math.abs(x1 - x0) > 1 || Math.abs(y1 - y0) > 1) continue; // over the edge
      c.globalAlpha = 0.6 * Math.max(0, 1 - (now - time) / 900);
      c.lineWidth = (1 + 4 * (i / trail.length)) * ratio;
      c.beginPath();
      c.moveTo(across(x0), down(y0));
      c.lineTo(across(x1), down(y1));
      c.stroke();
    }
    c.globalAlpha = store.get().mix === null ? 1 : 0.35;
    c.strokeStyle = style.backgroundColor;
    c.lineWidth = 2 * ratio;
    for (const u of [x - 2, x, x + 2]) { // at an edge it is seen on both sides
      for (const v of [y - 2, y, y + 2]) {
        c.beginPath();
        c.arc(across(u), down(v), 8 * ratio, 0, 7);
        c.fill();
        c.stroke();
      }
    }
  }

  store.subscribe((state, old) => {
    if (velocity && state.mix !== null) setDrift(null);
    if (state.seed !== old.seed) trail = [];
    canvas.setAttribute('aria-valuenow', state.x);
    canvas.setAttribute('aria-valuetext', `x ${state.x.toFixed(2)}, y ${(-state.y).toFixed(2)}`);
    schedule();
  });
  new ResizeObserver(schedule).observe(canvas);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', schedule);
  return element;
}
