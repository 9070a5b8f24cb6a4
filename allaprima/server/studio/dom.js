// Small tools for panels: elements, icons, sliders, keys.

/** `h('button', {class: 'x', onclick}, 'text', child)`: properties that start with "on" are listeners. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

const ICONS = {
  shuffle: 'M4 7h3c4.7 0 5.3 10 10 10h3M17.5 14.5 20 17l-2.5 2.5M4 17h3c1.7 0 2.8-1.3 3.6-2.9M13.4 9.9C14.2 8.3 15.3 7 17 7h3M17.5 4.5 20 7l-2.5 2.5',
  left: 'M14.5 6 8.5 12l6 6',
  right: 'M9.5 6l6 6-6 6',
  undo: 'M8.5 5 4.5 9l4 4M5 9h9a5 5 0 0 1 0 10h-3',
  redo: 'M15.5 5l4 4-4 4M19 9h-9a5 5 0 0 0 0 10h3',
  save: 'M12 4v11m0 0 4.5-4.5M12 15l-4.5-4.5M5 19.5h14',
  link: 'M10 14a4 4 0 0 0 5.7 0l2.8-2.8a4 4 0 0 0-5.7-5.7L12 6.3M14 10a4 4 0 0 0-5.7 0l-2.8 2.8a4 4 0 0 0 5.7 5.7l.8-.8',
  pixels: 'M4.5 4.5h15v15h-15zM12 4.5v15M4.5 12h15',
  full: 'M4.5 9V4.5H9M15 4.5h4.5V9M19.5 15v4.5H15M9 19.5H4.5V15',
  close: 'M7 7l10 10M17 7 7 17',
  play: 'M8 5.5v13l10.5-6.5z',
  record: 'M12 6.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11z',
  loop: 'M17 4.5 20 7.5l-3 3M20 7.5H8a4 4 0 0 0-4 4M7 19.5l-3-3 3-3M4 16.5h12a4 4 0 0 0 4-4',
  tiles: 'M4.5 4.5h15v15h-15zM9.5 4.5v15M14.5 4.5v15M4.5 9.5h15M4.5 14.5h15',
  stage: 'M3.5 5.5h17v10h-17zM12 15.5v3.5M8.5 19.5h7',
  pause: 'M8.5 5.5v13M15.5 5.5v13',
  wind: 'M3.5 9.5h10a3 3 0 1 0-3-3M3.5 13.5h14a3 3 0 1 1-3 3M3.5 17.5h5',
  centre: 'M12 4v4M12 16v4M4 12h4M16 12h4M12 12h.01',
};

/** A line drawing, 24 × 24, of the text's colour. */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

/** Change a button's drawing. */
export const setIcon = (button, name) => button.replaceChildren(icon(name));

/** A button with a drawing only; `label` is its accessible name and its tooltip. */
export function iconButton(name, label, onclick, properties = {}) {
  return h('button', { type: 'button', class: 'icon', 'aria-label': label, title: label, onclick, ...properties }, icon(name));
}

/** A range input that shows how full it is. Double click resets. `oninput(value)` while moving, `onchange()` at the end. */
export function slider({ label, min, max, step, reset, oninput, onchange }) {
  const input = h('input', { type: 'range', min, max, step, 'aria-label': label });
  const fill = () => input.style.setProperty('--full', `${((input.value - min) / (max - min)) * 100}%`);
  input.addEventListener('input', () => { fill(); oninput(Number(input.value)); });
  input.addEventListener('change', () => onchange());
  input.addEventListener('dblclick', () => { oninput(reset); onchange(); });
  return { element: input, set(value) { input.value = value; fill(); } };
}

const keys = new Map();
/** A key of the whole page, when no field is being typed in: `hotkey('s', save)`. */
export const hotkey = (key, action) => keys.set(key.toLowerCase(), action);

addEventListener('keydown', (event) => {
  if (event.target.closest('input:not([type=range]), select, textarea')) return;
  const held = (event.ctrlKey || event.metaKey ? 'mod+' : '') + (event.shiftKey && /^[a-z]$/i.test(event.key) ? 'shift+' : '');
  const action = keys.get(held + event.key.toLowerCase());
  if (!action || event.altKey || event.repeat) return;
  if (event.key === ' ' && event.target.closest('button, a')) return;
  event.preventDefault();
  action();
});
