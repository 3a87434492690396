// Host: what anywidget asks of a notebook, on a page of our own: models whose traits travel over a websocket.
//
// A frame is the length of its head (4 bytes), the head as JSON, then buffers: see wire.py.

const state = document.getElementById("state");
const decoder = new TextDecoder(), encoder = new TextEncoder();

const unpack = (frame) => {
  const length = new DataView(frame).getUint32(0, true);
  const head = JSON.parse(decoder.decode(new Uint8Array(frame, 4, length)));
  let place = 4 + length;
  (head.paths ?? []).forEach((path, k) => {
    const inside = path.slice(0, -1).reduce((at, key) => at[key], head.state);
    inside[path.at(-1)] = new DataView(frame, place, head.sizes[k]);
    place += head.sizes[k];
  });
  return head;
};

const pack = (widget, changed) => {
  const paths = [], buffers = [];
  const plain = (value, path) => {
    if (ArrayBuffer.isView(value)) {
      paths.push(path);
      buffers.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      return null;
    }
    if (Array.isArray(value)) return value.map((item, k) => plain(item, [...path, k]));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, [...path, key])]));
  };
  const head = { widget, state: plain(changed, []), paths, sizes: buffers.map((buffer) => buffer.length) };
  const said = encoder.encode(JSON.stringify(head)), length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, said.length, true);
  return new Blob([length, said, ...buffers]);
};

// The model of a widget, as anywidget's front ends know it.
class Model {
  constructor(name, line) {
    Object.assign(this, { name, line, traits: {}, changed: {}, busy: false, listeners: new Map() });
  }

  get(key) {
    return this.traits[key];
  }

  set(key, value) {
    const before = this.traits[key];
    this.traits[key] = this.changed[key] = value;
    if (before !== value) this.emit(`change:${key}`);
  }

  // While Python computes, all but the newest of what changes is held back.
  save_changes() {
    if (this.busy || !Object.keys(this.changed).length || this.line.readyState !== WebSocket.OPEN) return;
    this.busy = true;
    this.line.send(pack(this.name, this.changed));
    this.changed = {};
  }

  done() {
    this.busy = false;
    this.save_changes();
  }

  // What the reader has moved since is newer than what Python says.
  take(update) {
    const news = Object.keys(update).filter((key) => !(key in this.changed));
    news.forEach((key) => (this.traits[key] = update[key]));
    news.forEach((key) => this.emit(`change:${key}`));
  }

  on(event, act) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), act]);
  }

  off(event, act) {
    this.listeners.set(event, (this.listeners.get(event) ?? []).filter((other) => act && other !== act));
  }

  emit(event) {
    (this.listeners.get(event) ?? []).forEach((act) => act());
  }
}

// A widget's first message brings its code and its style, and all of its traits.
const open = async (model) => {
  const style = document.createElement("style");
  style.textContent = model.get("_css") ?? "";
  document.head.append(style);
  const source = URL.createObjectURL(new Blob([model.get("_esm")], { type: "text/javascript" }));
  const { default: widget } = await import(source);
  URL.revokeObjectURL(source);
  await widget.render({ model, el: document.getElementById(model.name) });
};

const models = {};
const line = new WebSocket(`ws://${location.host}/line${location.search}`);
line.binaryType = "arraybuffer";
line.onmessage = ({ data }) => {
  const said = unpack(data);
  if (said.failed) return (state.textContent = `The explorer does not open: ${said.failed}`);
  if (said.done) return models[said.widget]?.done();
  const first = !models[said.widget];
  const model = (models[said.widget] ??= new Model(said.widget, line));
  model.take(said.state);
  if (first) open(model).then(() => model.name === "stage" && (state.textContent = ""));
};
line.onclose = () => (state.textContent = "The app is closed. Start it again, and open the address that it prints.");
