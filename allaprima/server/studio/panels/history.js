// Undo and redo.

import { h, iconButton } from '/studio/dom.js';

export const order = 10;
export const region = 'tools';

export function mount({ store }) {
  const undo = iconButton('undo', 'Undo (Ctrl+Z)', store.undo);
  const redo = iconButton('redo', 'Redo (Ctrl+Shift+Z)', store.redo);
  store.subscribe(() => {
    undo.disabled = !store.canUndo;
    redo.disabled = !store.canRedo;
  });
  return h('div', { class: 'group' }, undo, redo);
}
