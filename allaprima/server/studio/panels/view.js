// How the picture hangs: smooth or crisp pixels, and the picture alone.

import { h, hotkey, iconButton } from '/studio/dom.js';

export const order = 20;
export const region = 'tools';

export function mount({ picture }) {
  const crisp = iconButton('pixels', 'Crisp pixels (X)', toggleCrisp, { 'aria-pressed': String(picture.crisp) });
  const stage = iconButton('full', 'The picture alone (F)', toggleStage);
  function toggleCrisp() {
    picture.crisp = !picture.crisp;
    crisp.setAttribute('aria-pressed', String(picture.crisp));
  }
  function toggleStage() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.querySelector('#wall').requestFullscreen?.();
  }
  hotkey('x', toggleCrisp);
  hotkey('f', toggleStage);
  return h('div', { class: 'group' }, crisp, stage);
}
