// How the picture hangs: smooth or crisp pixels, repeated 3 × 3, the picture alone here or in a window of its own.

import { h, hotkey, iconButton } from '/studio/dom.js';

export const order = 20;
export const region = 'tools';

export function mount({ picture }) {
  const crisp = iconButton('pixels', 'Crisp pixels (X)', toggleCrisp, { 'aria-pressed': String(picture.crisp) });
  const full = iconButton('full', 'The picture alone (F)', toggleFull);
  function toggleCrisp() {
    picture.crisp = !picture.crisp;
    crisp.setAttribute('aria-pressed', String(picture.crisp));
  }
  const tiled = iconButton('tiles', 'Repeated 3 × 3 (T)', toggleTiled, { 'aria-pressed': 'false', 'data-wide': true });
  const stage = iconButton('stage', 'A stage: the picture alone in a window of its own, for a projector or OBS', openStage, { 'data-wide': true });
  function toggleTiled() {
    picture.tiled = !picture.tiled;
    tiled.setAttribute('aria-pressed', String(picture.tiled));
  }
  function openStage() {
    open(`${location.pathname}?stage${location.hash}`, 'allaprima-stage', 'popup,width=800,height=800');
  }
  function toggleFull() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.querySelector('#wall').requestFullscreen?.();
  }
  hotkey('x', toggleCrisp);
  hotkey('f', toggleFull);
  hotkey('t', toggleTiled);
  return h('div', { class: 'group' }, crisp, tiled, full, stage);
}
