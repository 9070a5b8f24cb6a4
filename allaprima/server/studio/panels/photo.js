// A person's own picture: dropped or chosen, the generator finds what of its own is most like it, and goes there. The search goes
// on in the background and the picture follows. The photo stays in the page; the server keeps nothing of it.

import { h, iconButton } from '/studio/dom.js';
import { DEFAULT, pointOf } from '/studio/state.js';

export const order = 16;
export const region = 'side';

const SECONDS = 5;
const MORPH_SECONDS = 1.2;

export function mount({ store, notice }) {
  const file = h('input', { type: 'file', accept: 'image/png,image/jpeg,image/webp', hidden: true, 'aria-label': 'Choose a photo' });
  const shown = h('img', { alt: 'Your photo', class: 'photo', hidden: true });
  const choose = h('button', { type: 'button', class: 'chip', onclick: () => file.click() }, 'Choose a picture …');
  const said = h('span', { class: 'help grow' }, 'Or drop one anywhere. It stays on this machine.');
  const clear = iconButton('close', 'Leave the photo out', () => { leave?.abort(); store.set({ photo: null, mix: null }); store.commit(); });
  const wall = document.querySelector('#wall');
  let leave = null; // an AbortController while it is sought

  file.addEventListener('change', () => {
    const [chosen] = file.files;
    file.value = '';
    if (chosen) seek(chosen);
  });
  for (const type of ['dragenter', 'dragover']) {
    document.addEventListener(type, (event) => {
      if (![...event.dataTransfer.types].includes('Files')) return;
      event.preventDefault();
      wall.classList.add('drop');
    });
  }
  document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) wall.classList.remove('drop'); });
  document.addEventListener('drop', (event) => {
    wall.classList.remove('drop');
    const [dropped] = event.dataTransfer.files;
    if (!dropped) return;
    event.preventDefault();
    if (dropped.type.startsWith('image/')) seek(dropped);
    else notice('This is no picture', 'bad');
  });

  async function seek(photo) {
    leave?.abort();
    const mine = leave = new AbortController();
    URL.revokeObjectURL(shown.src);
    shown.src = URL.createObjectURL(photo);
    shown.hidden = false;
    said.textContent = 'looking …';
    const before = store.get();
    let morph = null;
    try {
      const answer = await fetch(`/api/photo?seconds=${SECONDS}${before.text ? `&text=${encodeURIComponent(before.text)}` : ''}`, {
        method: 'POST', headers: { 'content-type': photo.type }, body: photo, signal: mine.signal,
      });
      if (!answer.ok) {
        const { problem, remedy } = await answer.json();
        throw new Error(`${problem}: ${remedy}`);
      }
      for await (const guess of linesOf(answer.body)) {
        morph = morph ?? beginMorph(before);
        morph.to({ photo: guess.photo, label: guess.label, text: guess.text });
        const alike = Math.round(100 * (1 - guess.off));
        said.textContent = guess.done < 1 ? `${alike} % alike, looking on …` : `${alike} % alike`;
      }
      morph?.end();
    } catch (error) {
      if (error.name !== 'AbortError') {
        notice(`The photo could not be found: ${error.message}`, 'bad');
        shown.hidden = true;
      }
      said.textContent = '';
    } finally {
      if (leave === mine) leave = null;
    }
  }

  /** From the picture before to the newest guess, through the pins' own slerp; a hand that moves meanwhile is left alone. */
  function beginMorph(before) {
    const began = performance.now();
    const from = before.mix === null ? pointOf(before) : null;
    const target = { ...pointOf(DEFAULT), seed: before.seed, truncation: 1 }; // what helps nothing is left out
    let found = null; // {photo, label, text}
    let mine = null;
    let over = false;
    const put = (change) => { store.set(change); mine = store.get(); };
    const arrived = () => put({ ...target, ...found, a: before.a, b: before.b, mix: null });
    function tick() {
      if (over || (mine && mine !== store.get())) { over = true; return; }
      const t = Math.min(1, (performance.now() - began) / 1000 / MORPH_SECONDS);
      if (t < 1 && from) {
        put({ a: from, b: { ...target, ...found }, mix: t * t * (3 - 2 * t) });
        requestAnimationFrame(tick);
      } else arrived();
    }
    return {
      to(next) {
        const first = found === null;
        found = next;
        if (first) tick();
        else if (mine === store.get() && store.get().mix === null) arrived();
      },
      end() {
        setTimeout(() => {
          if (mine === store.get()) { arrived(); store.commit(); }
        }, Math.max(0, MORPH_SECONDS * 1000 - (performance.now() - began)) + 50);
      },
    };
  }

  store.subscribe(({ photo }) => {
    clear.hidden = photo === null;
    if (photo === null && !leave) {
      shown.hidden = true;
      said.textContent = 'Or drop one anywhere. It stays on this machine.';
    }
  });
  return h('section', { class: 'panel' },
    h('div', { class: 'row' }, h('h2', {}, 'My photo'), h('span', { class: 'grow' }), clear),
    h('div', { class: 'row' }, shown, choose, file),
    said);
}

/** JSON values, one a line, as they come. */
async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line) yield JSON.parse(line);
  }
}
