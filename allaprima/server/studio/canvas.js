// The picture on the wall: drawn at the screen's own resolution, smoothly or with crisp pixels.

const SCALING = 'allaprima.scaling';

export function createPicture(canvas, model) {
  const context = canvas.getContext('2d');
  const easel = canvas.parentElement;
  let bitmap = null;
  let crisp = (localStorage.getItem(SCALING) ?? (model.width <= 40 ? 'crisp' : 'smooth')) === 'crisp';

  function fit() {
    const ratio = devicePixelRatio || 1;
    const room = easel.getBoundingClientRect();
    let scale = Math.min((room.width * ratio) / model.width, (room.height * ratio) / model.height);
    if (crisp && scale >= 2) scale = Math.floor(scale); // whole pixels, all equally large
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
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
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
    get crisp() { return crisp; },
    set crisp(value) {
      crisp = value;
      localStorage.setItem(SCALING, crisp ? 'crisp' : 'smooth');
      fit();
    },
  };
}
