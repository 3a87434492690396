// Paint: a panel's frame, axes and marks, and the clock beneath, on canvases.

const EDGE = 3; // pixels kept free above and below a plot

const make = (tag, className, parent, properties = {}) => {
  const element = Object.assign(document.createElement(tag), { className, ...properties });
  element.dataset.lmSuppressShortcuts = "true"; // its keys are its own, not the notebook's
  parent?.append(element);
  return element;
};

// Round steps (1, 2, 5 times a power of ten) of which about `wanted` fit, two at least: one alone tells no scale.
const ticksOf = (start, stop, wanted) => {
  const found = stepsOf(start, stop, wanted);
  return found.length > 1 ? found : stepsOf(start, stop, 2 * wanted);
};

const stepsOf = (start, stop, wanted) => {
  const rough = (stop - start) / Math.max(wanted, 1);
  const ten = 10 ** Math.floor(Math.log10(rough));
  const step = ten * [1, 2, 5, 10].find((n) => n * ten >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let k = Math.ceil(start / step - 1e-9); k * step <= stop + 1e-9 * step; k++)
    found.push([k * step, (k * step).toFixed(digits)]);
  return found;
};

const size = (canvas, width, height) => {
  const dense = window.devicePixelRatio || 1;
  const [wide, tall] = [Math.round(width * dense), Math.round(height * dense)];
  if (canvas.width === wide && canvas.height === tall && canvas.style.width) return; // to set it is to wipe it
  canvas.width = wide;
  canvas.height = tall;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
};

// A pen in CSS pixels on a clean canvas as dense as the screen.
const penOf = (canvas) => {
  const pen = canvas.getContext("2d");
  const dense = window.devicePixelRatio || 1;
  pen.setTransform(dense, 0, 0, dense, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  return pen;
};

const luminance = (colour) => {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = colour; // the browser writes any colour as #rrggbb
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(pen.fillStyle.slice(at, at + 2), 16));
  return 0.3 * r + 0.59 * g + 0.11 * b;
};

// The notebook's own colours, read anew each time: it may have turned dark.
const readTheme = (root) => {
  const ground = getComputedStyle(root).getPropertyValue("--us-ground").trim() || "#ffffff";
  root.classList.toggle("us-dark", luminance(ground) < 128);
  const style = getComputedStyle(root);
  const get = (name) => style.getPropertyValue(`--us-${name}`).trim();
  const family = get("font") || "sans-serif";
  return {
    ground,
    ink: get("ink"), faint: get("faint"), line: get("line"), edge: get("edge"), wave: get("wave"),
    head: get("head"), halo: get("halo"), band: get("band"), link: get("link"),
    tints: [get("tint-a"), get("tint-b")],
    kinds: ["wave", "edge", "curve-b", "curve-d", "curve-c"].map(get),
    curves: [get("wave"), ...["b", "c", "d", "e", "f", "g", "h"].map((k) => get(`curve-${k}`))],
    family,
    label: `13px ${family}`, small: `10px ${family}`, tick: `11px ${family}`,
  };
};

const drawPanel = ({ canvas, data, marks }, place, theme) => {
  const pen = penOf(canvas);
  pen.save();
  pen.beginPath();
  pen.rect(place.left, place.top, place.width, place.height);
  pen.clip();
  for (const mark of marks) MARKS[mark.kind].draw(pen, mark, place, theme);
  pen.restore();
  pen.strokeStyle = theme.line;
  pen.lineWidth = 1;
  pen.strokeRect(place.left - 0.5, place.top - 0.5, place.width + 1, place.height + 1);

  pen.font = theme.tick;
  for (const mark of marks) MARKS[mark.kind].scale?.(pen, mark, place, theme);
  if (!data.y.label) return; // a keyboard has no scale
  const edge = place.left - (place.strip ?? 0); // a picture laid sideways lies between the plot and its scale
  pen.fillStyle = theme.faint;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const ticks = data.y.ticks.length ? data.y.ticks : ticksOf(place.low, place.high, place.height / 14);
  let taken = [], widest = 0;
  for (const [at, name] of ticks) {
    const y = place.y(at);
    const inside = clamp(y, place.top + 5, place.top + place.height - 5);
    if (y < place.top - 1 || y > place.top + place.height + 1 || taken.some((other) => Math.abs(other - inside) < 12)) continue;
    taken.push(inside); // no name is written over another
    const shown = shortened(pen, name, edge - 8);
    pen.fillText(shown, edge - 7, inside);
    widest = Math.max(widest, pen.measureText(shown).width);
    pen.fillRect(edge - 4, Math.round(y), 3, 1);
  }
  const names = data.y.unit ? [`${data.y.label}, ${data.y.unit}`, data.y.unit] : data.y.ticks.length ? [] : [data.y.label];
  const name = names.find((text) => pen.measureText(text).width <= place.height + 8); // the unit at least
  if (!name || widest + 24 > edge) return;
  pen.save();
  pen.translate(edge - widest - 19, place.top + place.height / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(name, 0, 0);
  pen.restore();
};

// A text cut to so many pixels.
const shortened = (pen, text, room) => {
  if (pen.measureText(text).width <= room) return text;
  while (text && pen.measureText(`${text}…`).width > room) text = text.slice(0, -1);
  return `${text}…`;
};

// The x axis of a panel that is not on the clock: its named places, standing where they are long, else round numbers.
const drawFoot = (canvas, { data, under, standing }, place, theme) => {
  const pen = canvas.getContext("2d");
  const base = place.top + place.height;
  pen.font = theme.tick;
  pen.fillStyle = theme.faint;
  pen.textBaseline = standing ? "middle" : "top";
  pen.textAlign = standing ? "right" : "center";
  let taken = -Infinity;
  for (const [at, name] of under ?? ticksOf(data.x.start, data.x.stop, place.width / 70)) {
    const x = place.x(at), half = standing ? 6 : pen.measureText(name).width / 2 + 3;
    if (x - half < taken || x < place.left - 1 || x > place.left + place.width + 1) continue;
    taken = x + half;
    pen.fillRect(Math.round(x), base + 1, 1, 4);
    pen.save();
    pen.translate(x, base + 7);
    if (standing) pen.rotate(-Math.PI / 2);
    pen.fillText(standing ? shortened(pen, name, standing) : name, 0, 0);
    pen.restore();
  }
  pen.textAlign = "center";
  pen.textBaseline = "top";
  const label = data.x.unit ? `${data.x.label}, ${data.x.unit}` : data.x.label;
  pen.fillText(label, place.left + place.width / 2, base + (standing ? standing + 11 : under?.length === 0 ? 5 : 20));
};

const drawClock = (canvas, place, view, theme) => {
  const pen = penOf(canvas);
  pen.font = theme.tick;
  pen.fillStyle = theme.faint;
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const [at, name] of ticksOf(...view, place.width / 80)) {
    pen.fillRect(Math.round(place.x(at)), 1, 1, 4);
    pen.fillText(name, place.x(at), 7);
  }
  pen.fillText("time, s", place.left + place.width / 2, 20);
};
