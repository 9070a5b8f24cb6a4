// The picture on the wall: drawn at the screen's own resolution, smoothly or with crisp pixels.

const SCALING = 'allaprima.scaling';

export function createPicture(canvas, model) {
  const context = canvas.getContext('2d');
  const easel = canvas.parentElement;
  let bitmap = null;
  let across = 1; // pictures in a row
  let crisp = (localStorage.getItem(SCALING) ?? (model.width <= 40 ? 'crisp' : 'smooth')) === 'crisp';

  function fit() {
    const ratio = devicePixelRatio || 1;
    const room = easel.getBoundingClientRect();
    let scale = Math.min((room.width * ratio) / model.width, (room.height * ratio) / model.height);
    if (crisp && scale >= 2 * across) scale = Math.floor(scale / across) * across; // whole pixels, all equally large
    const width = Math.max(1, Math.round(model.width * scale));
    const height = Math.max(1, Math.round(model.height * scale));
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      canvas.style.width = `${width / ratio}px`;
      canvas.style.height = `${height / ratio}px`;
    }
    draw();
  }

  function draw() {
    if (!bitmap) return;
    context.imageSmoothingEnabled = !crisp;
    context.imageSmoothingQuality = 'high';
    if (model.channels === 4) context.clearRect(0, 0, canvas.width, canvas.height);
    const [width, height] = [canvas.width / across, canvas.height / across];
    for (let i = 0; i < across * across; i += 1) {
      context.drawImage(bitmap, (i % across) * width, Math.floor(i / across) * height, width, height);
    }
  }

  canvas.classList.toggle('alpha', model.channels === 4);
  new ResizeObserver(fit).observe(easel);
  fit();
  return {
    async show(blob) {
      const decoded = await createImageBitmap(blob);
      bitmap?.close();
      bitmap = decoded;
      draw();
      canvas.classList.add('painted');
    },
    /** How often it is repeated side by side, to see whether it tiles. */
    get tiled() { return across > 1; },
    set tiled(value) { across = value ? 3 : 1; fit(); },
    get crisp() { return crisp; },
    set crisp(value) {
      crisp = value;
      localStorage.setItem(SCALING, crisp ? 'crisp' : 'smooth');
      fit();
    },
  };
}
