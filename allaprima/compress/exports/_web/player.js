// The page: controls → one latent → one picture. Only the newest position is painted.
"use strict";
(async () => {
  const at = (id) => document.getElementById(id);
  const language = navigator.language.startsWith("zh") ? "zh" : "en";
  const words = WORDS[language];
  const [height, width] = ABOUT.spatial;
  const canvas = at("picture");
  const drawn = canvas.getContext("2d");
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const start = { x: 0, y: 0 };
  const position = { ...start };
  let velocity = { x: 0, y: 0 };
  let session = null, wanted = false, busy = false, drifting = false, took = 0;

  document.documentElement.lang = language;
  document.querySelectorAll("[data-say]").forEach((one) => { one.textContent = words[one.dataset.say]; });
  Object.assign(canvas, { width, height, ariaLabel: words.picture });
  canvas.style.aspectRatio = `${width} / ${height}`;
  canvas.classList.toggle("small", Math.max(width, height) < 128);
  at("title").textContent = document.title = ABOUT.name;
  at("hint").textContent = words.hint;
  at("made").textContent = words.made;
  at("status").textContent = words.opening;

  const wishes = ABOUT.wishes;
  for (const list of [at("wish"), at("other")])
    wishes.forEach((wish, i) => list.add(new Option(wish.name || words.anything, i)));
  at("wish-row").hidden = at("mix-row").hidden = wishes.length < 2;
  if (wishes.length > 1) at("other").value = 1;

  const sliders = ABOUT.directions.map((_, i) => {
    const slider = Object.assign(document.createElement("input"), { type: "range", min: -3, max: 3, step: "any", value: 0 });
    slider.ariaLabel = `${words.direction} ${i + 1}`;
    slider.title = slider.ariaLabel;
    at("directions").append(slider);
    return slider;
  });

  function latent() {
    const z = Latent.place(Number(at("seed").value) || 0, position.x, position.y, ABOUT.latent_dim);
    sliders.forEach((slider, k) => {
      const far = Number(slider.value);
      if (far) ABOUT.directions[k].forEach((value, i) => { z[i] += far * value; });
    });
    const bold = Number(at("truncation").value);
    return Float32Array.from(z, (value) => value * bold);
  }

  function asked() {
    const one = wishes[at("wish").value].asked;
    const share = Number(at("mix").value);
    return Float32Array.from(share ? Latent.between(one, wishes[at("other").value].asked, share) : one);
  }

  function show(pixels) {
    const image = drawn.createImageData(width, height);
    const channels = ABOUT.channels;
    for (let from = 0, to = 0; from < pixels.length; from += channels, to += 4) {
      const grey = channels === 1;
      image.data[to] = pixels[from];
      image.data[to + 1] = pixels[grey ? from : from + 1];
      image.data[to + 2] = pixels[grey ? from : from + 2];
      image.data[to + 3] = channels === 4 ? pixels[from + 3] : 255;
    }
    drawn.putImageData(image, 0, 0);
  }

  async function paint() {
    wanted = true;
    if (busy || !session) return;
    busy = true;
    while (wanted) {
      wanted = false;
      const began = performance.now();
      const given = { noise: new ort.Tensor("float32", latent(), [1, ABOUT.latent_dim]) };
      if (wishes.length) given.asked = new ort.Tensor("float32", asked(), [1, ABOUT.condition_dim]);
      const made = await session.run(given);
      show(made.pictures.data);
      const now = performance.now() - began;
      took = took ? took * 0.9 + now * 0.1 : now;
      self.PAINTED = (self.PAINTED || 0) + 1;
      at("status").textContent = words.rate(took, ort.env.wasm.numThreads);
      canvas.classList.add("painted");
      await new Promise(requestAnimationFrame);
    }
    busy = false;
  }

  const wrap = (value) => ((value + 1) % 2 + 2) % 2 - 1;
  function move(dx, dy) {
    position.x = wrap(position.x + dx);
    position.y = wrap(position.y + dy);
    paint();
  }

  let held = null;
  canvas.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, y: event.clientY };
    velocity = { x: 0, y: 0 };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const scale = 0.7 / canvas.clientWidth;
    velocity = { x: (event.clientX - held.x) * scale, y: (event.clientY - held.y) * scale };
    held = { x: event.clientX, y: event.clientY };
    move(velocity.x, velocity.y);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    move(step[0] * 0.03, step[1] * 0.03);
  });

  function drift() {
    if (!drifting) return;
    const still = Math.hypot(velocity.x, velocity.y) < 1e-4;
    if (still) velocity = { x: 0.003, y: 0.0017 };
    const limit = Math.min(1, 0.006 / Math.hypot(velocity.x, velocity.y));
    if (!held) move(velocity.x * limit, velocity.y * limit);
    requestAnimationFrame(drift);
  }
  at("drift").addEventListener("click", () => {
    drifting = !drifting;
    at("drift").setAttribute("aria-pressed", drifting);
    drift();
  });
  at("dice").addEventListener("click", () => { at("seed").value = Math.floor(Math.random() * 1e9); paint(); });
  at("reset").addEventListener("click", () => {
    Object.assign(position, start);
    velocity = { x: 0, y: 0 };
    sliders.forEach((slider) => { slider.value = 0; });
    at("truncation").value = 1;
    at("mix").value = 0;
    paint();
  });
  at("save").addEventListener("click", () => canvas.toBlob(async (picture) => {
    picture = new Blob([Marks.marked(new Uint8Array(await picture.arrayBuffer()), ABOUT.marks)], { type: "image/png" });
    const link = Object.assign(document.createElement("a"), { download: `${ABOUT.name}-${at("seed").value}.png` });
    link.href = URL.createObjectURL(picture);
    link.click();
    URL.revokeObjectURL(link.href);
  }));
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("controls").addEventListener("input", paint);

  try {
    const module = URL.createObjectURL(new Blob([bytes(RUNTIME_MODULE)], { type: "text/javascript" }));
    ort.env.wasm.wasmPaths = { mjs: module };
    ort.env.wasm.wasmBinary = bytes(RUNTIME_BINARY).buffer;
    ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
    session = await ort.InferenceSession.create(bytes(MODEL), { executionProviders: ["wasm"] });
    self.MODEL = self.RUNTIME_BINARY = self.RUNTIME_MODULE = null;
    await paint();
  } catch (error) {
    at("status").textContent = `${words.failed} ${error.message || error}`;
    throw error;
  }
})();
