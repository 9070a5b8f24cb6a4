// Transport (allaprima/server/protocol.py): states go out, frames come in. One state is on its way at a time, and while it is,
// only the newest of the others is kept. A lost connection is sought again, more and more patiently.

const PROTOCOL = 1;
const HEADER = 12;
const KINDS = { 1: 'image/jpeg', 2: 'image/webp', 3: 'image/png' };
const PATIENCE = [0.5, 1, 2, 4, 8];

/**
 * `on.frame({blob, sequence, renderMs, together, askedAt, state})` must return a promise that is kept once the frame is on the screen;
 * `on.status('connecting' | 'idle' | 'rendering' | 'lost', seconds)`; `on.problem({problem, remedy})`; `on.hello(message)`; `on.controls({address: value})`.
 */
export function connect(on) {
  let socket = null;
  let sequence = 0;
  let asked = null; // {sequence, at, state}: the state on its way
  let wanted = null; // {state, at}: the newest that has not been sent
  let last = null; // the newest of all, to be asked for again after a reconnection
  let failures = 0;
  let retry = 0;

  const send = (message) => socket.send(JSON.stringify(message));
  const isOpen = () => socket !== null && socket.readyState === WebSocket.OPEN;

  function flush() {
    if (!wanted || asked || !isOpen()) return;
    sequence = (sequence + 1) % 2 ** 32;
    asked = { sequence, at: wanted.at, state: wanted.state };
    send({ type: 'state', sequence, state: wanted.state });
    wanted = null;
    on.status('rendering');
  }

  function settle(done) {
    if (!asked || asked.sequence !== done) return;
    asked = null;
    if (wanted) flush();
    else on.status('idle');
  }

  async function receiveFrame(buffer) {
    const view = new DataView(buffer);
    if (view.getUint8(0) !== PROTOCOL) {
      on.problem({ problem: 'The server speaks another protocol', remedy: 'reload the page' });
      return;
    }
    const number = view.getUint32(4, true);
    const from = socket;
    try {
      await on.frame({
        blob: new Blob([new Uint8Array(buffer, HEADER)], { type: KINDS[view.getUint8(1)] }),
        sequence: number,
        together: view.getUint16(2, true),
        renderMs: view.getFloat32(8, true),
        askedAt: asked && asked.sequence === number ? asked.at : performance.now(),
        state: asked && asked.sequence === number ? asked.state : null,
      });
    } finally {
      if (from === socket && isOpen()) {
        send({ type: 'shown', sequence: number });
        settle(number);
      }
    }
  }

  function receiveText(text) {
    const message = JSON.parse(text);
    if (message.type === 'hello') on.hello(message);
    if (message.type === 'controls') on.controls(message.values);
    if (message.type === 'problem') {
      on.problem(message);
      if (message.sequence !== null) settle(message.sequence);
    }
  }

  function open() {
    clearTimeout(retry);
    on.status('connecting');
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.binaryType = 'arraybuffer';
    const mine = socket;
    socket.onopen = () => {
      failures = 0;
      asked = null;
      if (!wanted && last) wanted = { state: last, at: performance.now() };
      on.status('idle');
      flush();
    };
    socket.onmessage = ({ data }) => (typeof data === 'string' ? receiveText(data) : receiveFrame(data));
    socket.onclose = () => {
      if (mine !== socket) return;
      const seconds = PATIENCE[Math.min(failures, PATIENCE.length - 1)];
      failures += 1;
      asked = null;
      on.status('lost', seconds);
      retry = setTimeout(open, seconds * 1000);
    };
  }

  addEventListener('online', () => !isOpen() && open());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && socket && socket.readyState === WebSocket.CLOSED) open();
  });
  open();
  return {
    /** This state is wanted now. */
    offer(state) {
      last = state;
      wanted = { state, at: performance.now() };
      flush();
    },
    reconnect: open,
  };
}
