// The health strip: is it rendering, idle or lost; frames a second, and how old the picture was when it was shown.

import { h } from '/studio/dom.js';

export const order = 10;
export const region = 'strip';

const WINDOW = 1000; // ms

export function mount({ model, on, reconnect }) {
  const dot = h('i', { 'aria-hidden': 'true' });
  const status = h('span', { role: 'status' }, 'connecting');
  const again = h('button', { type: 'button', class: 'text', hidden: true, onclick: reconnect }, 'Reconnect now');
  const fps = figure('fps', 'Frames shown in the last second');
  const age = figure('ms old', 'From a movement of the hand to its picture on the screen');
  const render = figure('ms render', 'Painting and encoding on the server');
  let shown = []; // [time, age, render] of the last second's frames
  let resting = 0;

  function figure(unit, title) {
    const value = h('b', {}, '–');
    return { element: h('span', { class: 'figure', title }, value, ` ${unit}`), set: (text) => { value.textContent = text; } };
  }
  function refresh() {
    const now = performance.now();
    shown = shown.filter(([time]) => now - time < WINDOW);
    fps.set(String(shown.length));
  }
  on('frame', (frame) => {
    shown.push([frame.shownAt]);
    refresh();
    age.set((frame.shownAt - frame.askedAt).toFixed(0));
    render.set(frame.renderMs.toFixed(1));
    clearTimeout(resting);
    resting = setTimeout(refresh, WINDOW + 50);
  });
  let calmer = 0;
  on('status', ({ status: name, seconds }) => {
    clearTimeout(calmer);
    again.hidden = name !== 'lost';
    const text = name === 'lost' ? `connection lost, again in ${seconds} s` : name;
    // between two frames of a movement the socket is idle for a moment: not worth telling
    const show = () => { status.textContent = text; dot.className = name; };
    if (name === 'idle') calmer = setTimeout(show, 250);
    else show();
  });
  return h('div', { class: 'health' },
    h('span', { class: 'state' }, dot, status), again,
    fps.element, age.element, render.element,
    h('span', { class: 'grow' }),
    h('span', { class: 'facts' }, `${model.width} × ${model.height} px · ${model.latent_dim} latents · ${model.engine}`));
}
