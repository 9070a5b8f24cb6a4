// Knobs and programs: MIDI controllers through the browser, OSC through the server. Learn: choose a parameter, move a knob.
// What was learned stays with the browser, not with the picture: another preset changes nothing of it.

import { h, iconButton } from '/studio/dom.js';
import { options, parametersOf } from '/studio/parameters.js';

export const order = 72;
export const region = 'side';

const KEPT = 'allaprima.controllers';
const SETTLED_MS = 400; // without a movement, a gesture is over

export function mount(studio) {
  const { store, notice, on } = studio;
  const parameters = parametersOf(studio);
  const byName = new Map(parameters.map((one) => [one.name, one]));
  const what = h('select', { 'aria-label': 'Learn what moves' }, ...options(parameters, h));
  const learn = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: () => setLearning(!learning) }, 'Learn');
  const midi = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: openMidi }, 'MIDI');
  const list = h('div', { class: 'ways' });
  const said = h('p', { class: 'help' }, 'Choose what to move, press Learn, then move a knob or send an OSC message.');
  const table = h('details', { class: 'addresses' }, h('summary', { class: 'help' }, 'OSC addresses'));
  let learning = false;
  let learned = read(); // source, such as 'midi 1 cc 7' or 'osc /fader/1' → parameter
  let settle = 0;

  function read() {
    try {
      return Object.fromEntries(Object.entries(JSON.parse(localStorage.getItem(KEPT)) ?? {}).filter(([, name]) => byName.has(name)));
    } catch {
      return {};
    }
  }
  function setLearning(value) {
    learning = value;
    learn.setAttribute('aria-pressed', String(value));
    if (value) said.textContent = 'Now move the knob, or send the message.';
  }
  function teach(source) {
    learned = { ...learned, [source]: what.value };
    localStorage.setItem(KEPT, JSON.stringify(learned));
    setLearning(false);
    said.textContent = `${source} → ${byName.get(what.value).title}`;
    show();
  }
  /** A value in [0, 1] from a source that may have been learned. */
  function moved(source, share) {
    if (learning) teach(source);
    const parameter = byName.get(learned[source]);
    if (!parameter?.ready()) return Boolean(parameter);
    parameter.set(parameter.low + share * (parameter.high - parameter.low));
    done();
    return true;
  }
  function done() {
    clearTimeout(settle);
    settle = setTimeout(store.commit, SETTLED_MS);
  }

  // -- OSC

  const TEXTS = ['text', 'other_text', 'label'];
  on('controls', (values) => {
    for (const [address, value] of Object.entries(values)) {
      const name = address.slice(1);
      said.textContent = `OSC ${address} ${typeof value === 'number' ? Math.round(value * 1000) / 1000 : value}`;
      if (TEXTS.includes(name)) {
        store.set({ [name]: value || null, mix: null });
        done();
      } else if (byName.has(name) && !learning) {
        if (!byName.get(name).ready()) continue;
        byName.get(name).set(value);
        done();
      } else if (typeof value === 'number') {
        moved(`osc ${address}`, Math.min(1, Math.max(0, value)));
      }
    }
  });
  table.addEventListener('toggle', async () => {
    if (!table.open || table.querySelector('table')) return;
    const { port, addresses } = await (await fetch('/api/controls')).json();
    const range = ({ type, low, high, longest }) => (type === 'text' ? `text, ${longest}` : `${low} … ${high >= 2 ** 53 - 1 ? '2⁵³' : high}`);
    table.append(
      h('p', { class: 'help' }, port ? `Send to UDP port ${port} of this machine.` : 'Start the studio with --osc 9000 to hear OSC.'),
      h('table', {}, ...addresses.map((one) => h('tr', { title: one.meaning }, h('td', {}, h('code', {}, one.address)), h('td', {}, range(one))))));
  });

  // -- MIDI

  async function openMidi() {
    try {
      if (!navigator.requestMIDIAccess) throw new Error('this browser has none; Chrome, Edge and Firefox do');
      const access = await navigator.requestMIDIAccess();
      const connect = () => { for (const input of access.inputs.values()) input.onmidimessage = hear; };
      access.onstatechange = connect;
      connect();
      midi.setAttribute('aria-pressed', 'true');
      said.textContent = access.inputs.size ? [...access.inputs.values()].map(({ name }) => name).join(', ') : 'No MIDI device yet: plug one in.';
    } catch (error) {
      notice(`MIDI: ${error.message}`, 'bad');
    }
  }
  /** Control changes, and notes: how hard a key is struck. */
  function hear({ data: [status, number, value] }) {
    const channel = (status & 15) + 1;
    if ((status & 0xf0) === 0xb0) moved(`midi ${channel} cc ${number}`, value / 127);
    if ((status & 0xf0) === 0x90 && value > 0) moved(`midi ${channel} note ${number}`, value / 127);
  }
  window.allaprima = { midi: hear }; // for a device that speaks another way: a script of one's own, or a test

  const show = () => list.replaceChildren(...Object.entries(learned).map(([source, name]) => h('div', { class: 'row' },
    h('code', { class: 'grow' }, source), h('span', { class: 'help' }, `→ ${byName.get(name).title}`),
    iconButton('close', `Forget ${source}`, () => {
      learned = Object.fromEntries(Object.entries(learned).filter(([one]) => one !== source));
      localStorage.setItem(KEPT, JSON.stringify(learned));
      show();
    }))));
  show();
  return h('details', { class: 'panel fold' },
    h('summary', {}, h('h2', {}, 'Knobs and programs')),
    h('div', { class: 'row' }, what, learn, midi),
    said, list, table);
}
