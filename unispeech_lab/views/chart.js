// Chart: small panels side by side, redrawn as a run goes on; a button stops it, the same button goes on with it.

const HEIGHT = 120, LEFT = 58, RIGHT = 22, FOOT = 30;
const DASHED = ["", "6 3", "2 2", "8 3 2 3"];
const SAYS = { running: "running", stopping: "finishing this step", stopped: "stopped", done: "done", failed: "failed" };

class Chart {
  constructor(model, el) {
    this.model = model;
    this.cells = new Map();
    this.undo = [];
    this.root = make("div", "unispeech-stage us-chart", el);
    const bar = make("div", "us-bar", this.root);
    this.button = make("button", "us-ask", bar, { type: "button", onclick: () => this.ask() });
    this.says = make("output", "us-state", bar);
    this.note = make("span", "us-clock", bar);
    this.grid = make("div", "us-grid", this.root);
    for (const name of ["panels", "state", "note", "heard"]) this.on(`change:${name}`, () => this.later());
    const resize = new ResizeObserver(() => this.later());
    resize.observe(this.grid);
    const theme = new MutationObserver(() => [0, 300, 1200].forEach((ms) => setTimeout(() => this.later(), ms)));
    theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
    this.undo.push(() => resize.disconnect(), () => theme.disconnect());
    this.draw();
  }

  on(event, act) {
    this.model.on(event, act);
    this.undo.push(() => this.model.off(event, act));
  }

  ask() {
    this.model.send({ ask: this.model.get("state") === "running" ? "stop" : "resume" });
  }

  later() {
    this.request ??= requestAnimationFrame(() => {
      this.request = undefined;
      this.draw();
    });
  }

  draw() {
    const state = this.model.get("state");
    this.root.dataset.state = state;
    this.button.hidden = !this.model.get("heard");
    this.button.textContent = state === "running" ? "■ stop" : "▶ resume";
    this.button.disabled = state === "stopping" || state === "done";
    if (this.says.textContent !== SAYS[state]) this.says.textContent = SAYS[state]; // else it is read out each time
    this.note.textContent = this.model.get("note");
    const theme = readTheme(this.root);
    const panels = this.model.get("panels");
    for (const [name, cell] of this.cells)
      if (!panels.some((panel) => panel.name === name)) (cell.figure.remove(), this.cells.delete(name));
    for (const panel of panels) this.show(panel, theme);
  }

  cell(name) {
    if (!this.cells.has(name)) {
      const figure = make("figure", "us-panel", this.grid);
      const caption = make("figcaption", "us-caption", figure);
      const canvas = make("canvas", "us-canvas", figure);
      canvas.setAttribute("role", "img");
      canvas.dataset.panel = name;
      const cell = { figure, canvas, title: make("strong", "", caption), legend: make("span", "", caption), words: make("div", "us-words", caption) };
      canvas.onpointermove = (event) => ((cell.pointer = event.offsetX), this.read(cell));
      canvas.onpointerleave = () => ((cell.pointer = undefined), this.read(cell));
      this.cells.set(name, cell);
    }
    return this.cells.get(name);
  }

  show(data, theme) {
    const cell = this.cell(data.name);
    cell.data = data;
    cell.marks = data.marks.map((mark) => MARKS[mark.kind].open(mark, {}));
    const width = cell.figure.clientWidth;
    if (!width) return;
    size(cell.canvas, width, HEIGHT + 2 * EDGE + FOOT);
    const { x, y } = data;
    const inner = Math.max(width - LEFT - RIGHT, 10);
    cell.place = {
      left: LEFT, top: EDGE, width: inner, height: HEIGHT, low: y.start, high: y.stop,
      x: (value) => LEFT + ((value - x.start) / (x.stop - x.start)) * inner,
      y: (value) => EDGE + HEIGHT - ((value - y.start) / (y.stop - y.start)) * HEIGHT,
    };
    drawPanel(cell, cell.place, theme);
    const pen = cell.canvas.getContext("2d");
    pen.font = theme.tick;
    pen.fillStyle = theme.faint;
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const [at, name] of ticksOf(x.start, x.stop, inner / 70)) {
      pen.fillRect(Math.round(cell.place.x(at)), 2 * EDGE + HEIGHT, 1, 4);
      pen.fillText(name, cell.place.x(at), 2 * EDGE + HEIGHT + 5);
    }
    pen.fillText(x.label, LEFT + inner / 2, 2 * EDGE + HEIGHT + 17);
    cell.canvas.setAttribute("aria-label", data.alt);
    cell.title.textContent = data.title;
    const names = cell.marks.flatMap((mark) => mark.names ?? []);
    cell.legend.replaceChildren(...(names.length > 1 ? names.map((name, k) => this.key(name, k, theme)) : []));
    this.read(cell);
  }

  key(name, k, theme) {
    const key = make("span", "us-legend");
    const colour = theme.curves[k % theme.curves.length];
    key.innerHTML = `<svg width="22" height="6" aria-hidden="true"><path d="M0 3H22" stroke="${colour}" stroke-width="2" stroke-dasharray="${DASHED[k % 4]}"/></svg>`;
    key.append(name);
    return key;
  }

  // Under a pointer, the numbers of that step; else the panel's sentence.
  read(cell) {
    if (cell.pointer === undefined) return void (cell.words.textContent = cell.data.words);
    const { start, stop } = cell.data.x;
    const step = clamp(start + ((cell.pointer - LEFT) / cell.place.width) * (stop - start), start, stop);
    const said = cell.marks.map((mark) => MARKS[mark.kind].says(mark, step)).filter(Boolean).join(", ");
    const near = [...cell.marks[0].x].reduce((best, x) => (Math.abs(x - step) < Math.abs(best - step) ? x : best));
    cell.words.textContent = `step ${Math.round(near)}: ${said}`;
  }

  dispose() {
    this.undo.forEach((take) => take());
    cancelAnimationFrame(this.request);
    this.root.remove();
  }
}

export default {
  render({ model, el }) {
    const chart = new Chart(model, el);
    return () => chart.dispose();
  },
};
