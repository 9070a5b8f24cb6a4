// Wiring: model → store → socket → picture, and the panels that the server finds in its folder.
//
// A panel is one file in panels/ that exports `order` (its place), `region` ('side', 'tools', 'under' or 'strip') and `mount(studio)`,
// which returns its element, or null when it has nothing to offer for this model. `studio` is what is made below.

import { connect } from '/studio/socket.js';
import { createPicture } from '/studio/canvas.js';
import { createStore, decode, encode, followAddress } from '/studio/state.js';
import { hotkey } from '/studio/dom.js';
import { translate } from '/studio/words.js';

const REGIONS = { side: '#panels', tools: '#tools', under: '#under', strip: '#strip' };

async function fetchJson(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error((await answer.json()).problem);
  return answer.json();
}

/** One state as a PNG, painted by the server outside the live frames; `side`: pixels of the longer side at most, 0 for all. */
async function paint(state, side = 0) {
  const answer = await fetch(`/api/frame?side=${side}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(state),
  });
  if (!answer.ok) throw new Error((await answer.json()).problem);
  return answer.blob();
}

/** A line over the picture: `notice('Saved')`; a kind of 'bad' stays longer. */
function createNotice(element) {
  let timer = 0;
  return (text, kind = 'good') => {
    clearTimeout(timer);
    element.textContent = text;
    element.className = kind;
    element.hidden = !text;
    if (text) timer = setTimeout(() => { element.hidden = true; }, kind === 'bad' ? 6000 : 2000);
  };
}

async function start() {
  translate(document.documentElement);
  const stage = new URLSearchParams(location.search).has('stage');
  document.body.classList.toggle('stage', stage);
  const [model, panels] = await Promise.all([fetchJson('/api/model'), fetchJson('/api/panels')]);
  document.title = `${model.name} – Alla Prima`;
  document.querySelector('#subject').textContent = model.name;

  const link = decode(location.hash);
  const store = createStore(link ?? { seed: 0, ...model.provenance.opening });
  const notice = createNotice(document.querySelector('#notice'));
  if (!link && location.hash.length > 1) notice('The link holds no picture that can be painted', 'bad');
  const picture = createPicture(document.querySelector('#picture'), model);
  const events = new EventTarget();
  const tell = (type, detail) => events.dispatchEvent(new CustomEvent(type, { detail }));

  const studio = {
    model,
    store,
    picture,
    notice,
    paint,
    /** `on('frame' | 'status' | 'controls', detail => …)` */
    on: (type, listener) => events.addEventListener(type, (event) => listener(event.detail)),
    reconnect: () => socket.reconnect(),
  };
  const modules = await Promise.all(panels.map((path) => import(path)));
  modules.sort((a, b) => a.order - b.order);
  for (const panel of modules) {
    const element = panel.mount(studio);
    if (element) document.querySelector(REGIONS[panel.region]).append(element);
  }

  const socket = connect({
    async frame(frame) {
      await picture.show(frame.blob);
      tell('frame', { ...frame, shownAt: performance.now() });
    },
    status(status, seconds) {
      document.body.dataset.status = status;
      tell('status', { status, seconds });
    },
    problem: ({ problem, remedy }) => notice(`${problem}: ${remedy}`, 'bad'),
    hello: () => {},
    controls: (values) => tell('controls', values),
  });
  let offered = null;
  store.subscribe((state) => {
    // pins that are not mixed change the recipe but not the picture
    const seen = encode(state.mix === null ? { ...state, a: null, b: null } : state);
    if (seen !== offered) socket.offer(state);
    offered = seen;
  });
  // A stage is another window of this browser: it shows what is played here, and paints it itself.
  const channel = new BroadcastChannel(`allaprima ${model.name}`);
  if (stage) channel.onmessage = ({ data }) => data !== 'here' && store.set(data);
  else {
    channel.onmessage = ({ data }) => data === 'here' && channel.postMessage(store.get()); // a stage has opened
    store.subscribe((state) => channel.postMessage(state));
  }
  if (stage) channel.postMessage('here');
  followAddress(store);
  hotkey('mod+z', store.undo);
  hotkey('mod+shift+z', store.redo);
  hotkey('mod+y', store.redo);
}

start().catch((error) => {
  const element = document.querySelector('#notice');
  element.hidden = false;
  element.className = 'bad';
  element.textContent = `The studio could not start: ${error.message}`;
});
