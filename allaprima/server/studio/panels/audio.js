// Music moves the picture: a band of a sound, from a file or the microphone, moves a parameter about where the hand left it.

import { h, iconButton, slider } from '/studio/dom.js';
import { options, parametersOf } from '/studio/parameters.js';

export const order = 70;
export const region = 'side';

const BANDS = { bass: [20, 160], middle: [160, 2000], high: [2000, 10000], all: [20, 10000] };
const NAMES = { bass: 'Bass', middle: 'Middle', high: 'High', all: 'Loudness' };
const KEPT = 'allaprima.audio';
const FLOOR_DB = -75;
const CEILING_DB = -20; // of a band's mean: louder counts as full

export function mount(studio) {
  const { store, notice } = studio;
  const parameters = parametersOf(studio);
  const file = h('input', { type: 'file', accept: 'audio/*', hidden: true, 'aria-label': 'Choose music' });
  const choose = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: () => (live?.node ? stop() : file.click()) }, 'Music …');
  const listen = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: () => (live?.stream ? stop() : begin(microphone)) }, 'Microphone');
  const list = h('div', { class: 'ways' });
  let live = null; // {context, analyser, stream or node} while something is heard
  let ways = read(); // {band, parameter, gain, smooth, level, base, put}

  function read() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT)) ?? [];
      return kept.filter(({ band, parameter }) => band in BANDS && parameters.some(({ name }) => name === parameter));
    } catch {
      return [];
    }
  }
  if (!ways.length) ways = [{ band: 'bass', parameter: 'x', gain: 0.3, smooth: 0.7 }];
  const write = () => localStorage.setItem(KEPT, JSON.stringify(ways.map(({ band, parameter, gain, smooth }) => ({ band, parameter, gain, smooth }))));

  async function microphone(context) {
    if (!navigator.mediaDevices) throw new Error('the browser gives it to pages from this machine or over https only');
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    return { stream, source: context.createMediaStreamSource(stream) };
  }
  const music = (data) => async (context) => {
    const node = context.createBufferSource();
    node.buffer = await context.decodeAudioData(data);
    node.loop = true;
    node.connect(context.destination);
    node.start();
    return { node, source: node };
  };
  async function begin(open) {
    stop();
    const context = new AudioContext();
    try {
      const opened = await open(context);
      const analyser = new AnalyserNode(context, { fftSize: 2048, smoothingTimeConstant: 0 });
      opened.source.connect(analyser);
      live = { context, analyser, heard: new Float32Array(analyser.frequencyBinCount), ...opened };
      (opened.node ? choose : listen).setAttribute('aria-pressed', 'true');
      for (const way of ways) way.level = way.put = undefined;
      requestAnimationFrame(tick);
    } catch (error) {
      context.close();
      notice(`This cannot be heard: ${error.message}`, 'bad');
    }
  }
  function stop() {
    if (!live) return;
    for (const track of live.stream?.getTracks() ?? []) track.stop();
    live.context.close();
    live = null;
    for (const chip of [choose, listen]) chip.setAttribute('aria-pressed', 'false');
    store.commit();
  }
  file.addEventListener('change', async () => {
    const [chosen] = file.files;
    file.value = '';
    if (chosen) begin(music(await chosen.arrayBuffer()));
  });

  /** 0 for silence, 1 for loud: the mean of a band in decibels. */
  function levelOf([low, high]) {
    const width = live.context.sampleRate / live.analyser.fftSize;
    const bins = live.heard.slice(Math.max(1, Math.floor(low / width)), Math.ceil(high / width) + 1);
    const mean = bins.reduce((sum, db) => sum + 10 ** (Math.max(db, -120) / 10), 0) / bins.length;
    return Math.min(1, Math.max(0, (10 * Math.log10(mean) - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
  }
  function tick() {
    if (!live) return;
    live.analyser.getFloatFrequencyData(live.heard);
    for (const way of ways) {
      const parameter = parameters.find(({ name }) => name === way.parameter);
      const level = levelOf(BANDS[way.band]);
      way.level = way.level === undefined ? level : way.level + (level - way.level) * (1 - way.smooth);
      way.meter?.style.setProperty('--full', `${way.level * 100}%`);
      if (!parameter.ready()) continue;
      const now = parameter.get();
      if (way.put === undefined || Math.abs(now - way.put) > 1e-4) way.base = now; // the hand has moved it: go on from there
      parameter.set(way.base + way.gain * way.level);
      way.put = parameter.get();
    }
    requestAnimationFrame(tick);
  }

  function item(way) {
    const choice = (key, label, children) => {
      const select = h('select', { 'aria-label': label }, ...children);
      select.value = way[key];
      select.addEventListener('change', () => { way[key] = select.value; way.put = undefined; write(); });
      return select;
    };
    const dial = (key, label, min, max) => {
      const made = slider({ label, min, max, step: 0.01, reset: key === 'gain' ? 0.3 : 0.7, oninput: (value) => { way[key] = value; made.set(value); }, onchange: write });
      made.set(way[key]);
      return h('label', { class: 'row named' }, h('span', { class: 'help' }, label), made.element);
    };
    way.meter = h('span', { class: 'meter', 'aria-hidden': 'true' });
    return h('div', { class: 'way' },
      h('div', { class: 'row' },
        choice('band', 'Band', Object.keys(BANDS).map((name) => h('option', { value: name }, NAMES[name]))),
        h('span', { 'aria-hidden': 'true' }, '→'),
        choice('parameter', 'Moves', options(parameters, h)),
        iconButton('close', 'Remove', () => { ways = ways.filter((one) => one !== way); write(); show(); })),
      way.meter,
      dial('gain', 'Gain', -1, 1),
      dial('smooth', 'Smoothing', 0, 0.98));
  }
  const show = () => list.replaceChildren(...ways.map(item));
  const add = h('button', { type: 'button', class: 'chip', onclick: () => { ways = [...ways, { band: 'high', parameter: 'y', gain: 0.3, smooth: 0.7 }]; write(); show(); } }, 'Add a way');
  show();
  return h('details', { class: 'panel fold' },
    h('summary', {}, h('h2', {}, 'Moved by music')),
    h('div', { class: 'chips' }, listen, choose, file, add),
    list);
}
