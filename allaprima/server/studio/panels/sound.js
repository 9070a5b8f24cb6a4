// A sound as a wish: from a file, or from the microphone, of which the last second is heard again and again.
//
// The page decodes and shortens what it sends; the server keeps nothing of it but the few numbers that the state holds.

import { h, iconButton } from '/studio/dom.js';

export const order = 14;
export const region = 'side';

const RATE = 16000;
const LONGEST_SECONDS = 6; // of a file
const WINDOW_SECONDS = 1; // of the microphone
const EVERY_MS = 250;

export function mount({ store, model, notice }) {
  if (!model.follows.includes('sound')) return null;
  let live = null; // {context, stream, node, timer} while the microphone is open
  const said = h('span', { class: 'help grow' }, '');
  const file = h('input', { type: 'file', accept: 'audio/*', hidden: true, 'aria-label': 'Choose a sound file' });
  const choose = h('button', { type: 'button', class: 'chip', onclick: () => file.click() }, 'Choose a file …');
  const listen = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: toggle }, 'Microphone');
  const clear = iconButton('close', 'Leave the sound out', () => { stop(); set(null, ''); store.commit(); });
  file.addEventListener('change', async () => {
    const [chosen] = file.files;
    file.value = '';
    if (!chosen) return;
    stop();
    try {
      await hear(await decoded(await chosen.arrayBuffer()), chosen.name);
      store.commit();
    } catch (error) {
      notice(`${chosen.name}: ${error.message}`, 'bad');
    }
  });
  store.subscribe((state) => {
    clear.hidden = state.sound === null;
    if (state.sound === null) said.textContent = 'Say something, or choose a recording.';
  });
  return h('section', { class: 'panel' },
    h('div', { class: 'row' }, h('h2', {}, 'By ear'), h('span', { class: 'grow' }), clear),
    h('div', { class: 'chips' }, listen, choose, file),
    said);

  function set(sound, words) {
    store.set({ sound, mix: null });
    said.textContent = words;
  }

  async function hear(samples, words, rate = RATE) {
    const answer = await fetch('/api/sound', { method: 'POST', headers: { 'content-type': 'audio/wav' }, body: wav(samples, rate) });
    const told = await answer.json();
    if (!answer.ok) throw new Error(`${told.problem}: ${told.remedy}`);
    set(told.sound, words);
  }

  function toggle() {
    if (live) { stop(); store.commit(); } else start().catch((error) => { stop(); notice(`Microphone: ${error.message}`, 'bad'); });
  }

  async function start() {
    if (!navigator.mediaDevices) throw new Error('the browser gives it to pages from this machine or over https only');
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    const context = contextFor(stream);
    const analyser = new AnalyserNode(context, { fftSize: 2 ** 15 }); // two seconds at 16 kHz, the most that there is
    context.createMediaStreamSource(stream).connect(analyser);
    const heard = new Float32Array(analyser.fftSize);
    let busy = false;
    const timer = setInterval(async () => {
      if (busy) return;
      busy = true;
      try {
        analyser.getFloatTimeDomainData(heard);
        await hear(heard.slice(-context.sampleRate * WINDOW_SECONDS), 'listening …', context.sampleRate);
      } catch (error) {
        stop();
        notice(`Microphone: ${error.message}`, 'bad');
      } finally {
        busy = false;
      }
    }, EVERY_MS);
    live = { context, stream, timer };
    listen.setAttribute('aria-pressed', 'true');
  }

  function stop() {
    if (!live) return;
    clearInterval(live.timer);
    for (const track of live.stream.getTracks()) track.stop();
    live.context.close();
    live = null;
    listen.setAttribute('aria-pressed', 'false');
    said.textContent = store.get().sound === null ? '' : 'what was heard last';
  }
}

/** At 16 kHz where the browser can resample a microphone, else at its own rate: the server takes any. */
function contextFor(stream) {
  const context = new AudioContext({ sampleRate: RATE });
  try {
    context.createMediaStreamSource(stream);
    return context;
  } catch {
    context.close();
    return new AudioContext();
  }
}

/** Any file that the browser can play → mono float samples at 16 kHz, the first seconds of it. */
async function decoded(data) {
  const offline = new OfflineAudioContext(1, RATE * LONGEST_SECONDS, RATE);
  let buffer;
  try {
    buffer = await offline.decodeAudioData(data);
  } catch {
    throw new Error('this is no sound that the browser can play');
  }
  const frames = Math.max(1, Math.min(buffer.length, RATE * LONGEST_SECONDS));
  const mono = new Float32Array(frames);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const one = buffer.getChannelData(channel);
    for (let i = 0; i < frames; i += 1) mono[i] += one[i] / buffer.numberOfChannels;
  }
  return mono;
}

/** Samples in [-1, 1] → a WAV file of 16 bits. */
function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const word = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  word(0, 'RIFF'); view.setUint32(4, 36 + 2 * samples.length, true); word(8, 'WAVEfmt ');
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  word(36, 'data'); view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, i) => view.setInt16(44 + 2 * i, Math.round(32767 * Math.max(-1, Math.min(1, sample))), true));
  return new Blob([view], { type: 'audio/wav' });
}
