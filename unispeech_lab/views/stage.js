// Stage: panels on one time axis, and others beside or under them; one playhead, one sound, one set of knobs.

class Stage extends Board {
  static made = 0;

  constructor(model, el) {
    super(model);
    this.view = [0, 1]; // seconds that are seen
    this.loop = false;
    this.hover = null; // {panel, time, height, x, y} under the pointer
    this.undo = []; // what to take back when the stage goes
    this.player = new Player(() => this.rested());
    this.root = make("div", "unispeech-stage", el);
    // Opening the sound device takes a quarter of a second: begin when the reader comes near.
    this.root.onpointerenter = this.root.onfocusin = () => this.player.decoded;
    this.root.sound = this.player; // for whoever links another widget to this sound
    this.linked = []; // stretches of this utterance that chosen points stand for
    this.build();
    this.strokes = new Strokes(this);
    this.hands = new Hands(this);
    this.listen();
    this.load();
    for (let slot = 0; slot < model.get("count"); slot++) this.open(slot);
    this.arrange();
  }

  build() {
    const strip = make("div", "us-tabs", this.root);
    const bar = make("div", "us-bar", this.root);
    this.playButton = make("button", "us-play", bar, { type: "button", onclick: () => this.toggle() });
    this.loopButton = make("button", "us-loop", bar, { type: "button", textContent: "⟳ loop", onclick: () => this.setLoop(!this.loop) });
    this.loopButton.title = "Play the chosen stretch again and again (L)";
    this.clock = make("output", "us-clock", bar);
    this.dials = new Dials(this.model, make("div", "us-knobs", bar), (dial) => this.strokes.clear(dial));
    this.note = make("p", "us-note", this.root);
    this.stack = make("div", "us-stack", this.root, { tabIndex: 0, id: `us-stack-${Stage.made++}` });
    this.stack.setAttribute("role", "group");
    this.stack.setAttribute("aria-label", "Panels on one time axis. Space plays, arrows move the playhead by a frame, Enter plays the phone under it.");
    this.tabs = new Tabs(this.model, strip, this.stack);
    this.axis = make("canvas", "us-axis", this.stack);
    this.axis.setAttribute("aria-hidden", "true");
    this.over = make("canvas", "us-over", this.stack);
    this.over.setAttribute("aria-hidden", "true");
    this.tip = make("div", "us-tip", this.stack, { hidden: true });
    this.live = make("div", "us-live", this.root);
    this.live.setAttribute("aria-live", "polite");
    this.hint = make("p", "us-keys", this.root);
  }

  on(event, act) {
    this.model.on(event, act);
    this.undo.push(() => this.model.off(event, act));
  }

  listen() {
    for (let slot = 0; this.model.get(`panel_${slot}`) !== undefined; slot++)
      this.on(`change:panel_${slot}`, () => (this.open(slot), this.later(false)));
    this.on("change:count", () => (this.keep(), this.arrange()));
    this.on("change:sound", () => (this.load(), this.arrange()));
    this.on("change:album", () => (this.album = null));
    this.on("change:place", () => this.later(false));
    this.on("change:tabs", () => this.tabs.build());
    this.on("change:tab", () => this.tabs.turned());
    this.on("change:dials", () => (this.dials.build(), this.arrange()));
    this.on("change:knobs", () => (this.dials.turned(), this.later(false)));
    this.on("change:note", () => this.showNote());
    // It is told after the browser has laid out and before it paints: what is drawn later would flicker.
    const resize = new ResizeObserver(() => (this.arrange(), this.draw()));
    resize.observe(this.stack);
    // A theme's colours arrive a little after its name.
    const theme = new MutationObserver(() => [0, 300, 1200].forEach((ms) => setTimeout(() => this.later(), ms)));
    theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
    this.undo.push(() => resize.disconnect(), () => theme.disconnect());
  }

  // --- what is shown ---------------------------------------------------------------------------------------------

  get seconds() {
    return Math.max(this.model.get("seconds"), 1e-3);
  }

  load() {
    this.player.load(bytes(this.model.get("sound"), Int16Array), this.model.get("rate"));
    this.playButton.hidden = this.loopButton.hidden = this.clock.hidden = this.silent;
    this.view = [0, this.seconds];
    this.stretch = null;
    this.rested();
  }

  // What was measured before has no sound of its own.
  get silent() {
    return !this.player.samples.length;
  }

  showNote() {
    this.note.textContent = this.model.get("note");
    this.note.hidden = !this.note.textContent;
  }

  // --- knobs -----------------------------------------------------------------------------------------------------

  dial(name) {
    return this.model.get("dials").find((dial) => dial.name === name);
  }

  painter(kind) {
    return this.model.get("dials").find((dial) => dial.kind === kind);
  }

  // While Python computes, the notebook holds back all but the newest position.
  turn(knobs) {
    this.model.set("knobs", { ...this.model.get("knobs"), ...knobs });
    this.model.save_changes();
  }

  // --- sound -----------------------------------------------------------------------------------------------------

  toggle() {
    if (this.silent) return;
    if (this.player.playing) return this.player.pause();
    if (this.stretch) this.player.play(...this.stretch, this.loop);
    else this.player.play(this.player.position >= this.seconds - 1e-3 ? 0 : this.player.position, this.seconds, this.loop);
  }

  setLoop(loop) {
    this.loop = loop;
    this.loopButton.setAttribute("aria-pressed", loop);
    if (this.player.playing) this.player.play(...(this.stretch ?? [0, this.seconds]), loop);
  }

  choose(stretch, loop = this.loop) {
    this.stretch = stretch;
    this.model.set("stretch", stretch ?? []);
    this.model.save_changes();
    if (stretch) this.player.play(...stretch, loop);
    this.overlay();
  }

  // A stretch of a mark's sound as seconds of this utterance; null where it is of another.
  here(mark, [start, end]) {
    const place = mark.album ? this.model.get("place") : 0;
    const inside = place >= 0 && end - place > 0 && start - place < this.seconds && (!mark.album || (start > place - 1e-3 && end < place + this.seconds + 1e-3));
    return inside ? [start, end].map((at) => clamp(at - place, 0, this.seconds)) : null;
  }

  // Play an item: where it lies in this utterance, with the playhead; else out of the album.
  hear(mark, sounds, loop) {
    if (!sounds.length) return this.overlay();
    const here = sounds.length === 1 && mark.kind !== "keys" && this.here(mark, sounds[0]);
    if (here) return this.choose(here, loop);
    if (!mark.album) return;
    this.album ??= bytes(this.model.get("album"), Int16Array);
    this.player.clips(this.album, sounds);
    this.overlay();
  }

  // The reader moves the playhead; a moment among the knobs goes along.
  seek(time) {
    this.player.seek(time);
    const dial = this.painter("moment");
    if (dial) this.turn({ [dial.name]: this.player.position });
  }

  // Rest: no sound, no stretch, no points chosen.
  leave() {
    this.player.pause();
    this.choose(null);
    const dial = this.painter("points");
    if (dial && this.strokes.painted(dial).length) this.strokes.clear(dial);
  }

  // What the keyboard's cursor is on, read out beside it.
  tell(panel, mark, k) {
    const { left, top, width, height } = MARKS[mark.kind].box(mark, k, panel.place);
    this.tip.textContent = MARKS[mark.kind].tell(mark, k);
    this.tip.hidden = false;
    const x = panel.figure.offsetLeft + left + width, right = x > this.stack.clientWidth / 2;
    this.tip.style.transform = `translate(${right ? x - width - 8 : x + 8}px, ${panel.canvas.offsetTop + top + height / 2}px) translate(${right ? "-100%" : "0"}, -50%)`;
  }

  // Called whenever the sound starts or stops.
  rested() {
    const playing = Boolean(this.player.playing);
    this.root.dataset.playing = playing;
    this.root.dataset.clip = Boolean(this.player.clip);
    this.playButton.textContent = playing ? "❚❚" : "▶";
    this.playButton.setAttribute("aria-label", playing ? "pause" : "play");
    this.showNote();
    if (playing) return this.follow();
    this.model.set("time", this.player.time);
    this.model.save_changes();
    this.overlay();
  }

  // The playhead follows the sound; where motion is unwelcome, in five steps a second.
  follow() {
    if (this.following) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const next = () => {
      this.following = this.player.playing && this.root.isConnected;
      if (!this.following) return this.overlay();
      const time = this.player.time;
      if (time > this.view[1] || time < this.view[0]) this.look(time, time + this.view[1] - this.view[0]);
      this.overlay();
      calm ? setTimeout(next, 200) : requestAnimationFrame(next);
    };
    this.following = true;
    next();
  }

  // --- zoom ------------------------------------------------------------------------------------------------------

  zoom(factor, around) {
    const length = clamp((this.view[1] - this.view[0]) * factor, Math.min(0.02, this.seconds), this.seconds);
    const from = around - ((around - this.view[0]) / (this.view[1] - this.view[0])) * length;
    this.look(from, from + length);
  }

  look(from, to) {
    const length = Math.min(to - from, this.seconds);
    from = clamp(from, 0, this.seconds - length);
    this.view = [from, from + length];
    this.hands.point(this.hands.last); // another moment lies under a pointer that stays
    this.later();
  }

  dispose() {
    this.undo.forEach((take) => take());
    cancelAnimationFrame(this.request);
    for (const panel of this.panels.filter(Boolean)) Aside.keep(panel, null);
    this.player.dispose();
    this.root.remove();
  }
}

export default {
  render({ model, el }) {
    const stage = new Stage(model, el);
    return () => stage.dispose();
  },
};
