// Dials: the knobs of a stage as native sliders and menus, which keys and screen readers know.
// What is painted has no slider but a few words, and a button that clears it.

const PAINTED = {
  moment: (seconds) => `${(seconds ?? 0).toFixed(2)} s`,
  spans: (spans = []) => (spans.length ? `${spans.length}, ${spans.reduce((sum, [a, b]) => sum + b - a, 0).toFixed(2)} s` : "none"),
  points: (points = []) => (points.length ? `${points.length} chosen` : "none"),
};

class Dials {
  constructor(model, parent, clear) {
    Object.assign(this, { model, parent, clear });
    this.build();
  }

  build() {
    const focused = this.parent.querySelector(":focus")?.name;
    this.parent.replaceChildren();
    this.inputs = this.model.get("dials").map((dial) => {
      if (PAINTED[dial.kind]) return this.painted(dial, focused);
      const label = make("label", "us-knob", this.parent);
      make("span", "", label, { textContent: dial.label });
      const numeric = dial.values.every((value) => !Number.isNaN(Number(value)));
      const input = make(numeric ? "input" : "select", "", label, { name: dial.name });
      if (numeric) {
        Object.assign(input, { type: "range", min: 0, max: dial.values.length - 1, step: 1 });
        input.shows = make("output", "", label);
      } else dial.values.forEach((value, k) => make("option", "", input, { value: k, textContent: value }));
      // While Python computes, the notebook holds back all but the newest position.
      input.oninput = () => {
        this.model.set("knobs", { ...this.model.get("knobs"), [dial.name]: Number(input.value) });
        this.model.save_changes();
      };
      if (dial.name === focused) input.focus();
      return { dial, input };
    });
    this.turned();
  }

  painted(dial, focused) {
    const group = make("span", "us-knob", this.parent);
    make("span", "", group, { textContent: dial.label });
    const says = make("output", "", group);
    const clear = make("button", "us-clear", group, { type: "button", name: dial.name, textContent: "clear", onclick: () => this.clear(dial) });
    clear.setAttribute("aria-label", `clear ${dial.label}`);
    if (dial.name === focused) clear.focus();
    return { dial, says, clear };
  }

  turned() {
    const at = this.model.get("knobs");
    for (const { dial, input, says, clear } of this.inputs) {
      if (says) {
        says.textContent = PAINTED[dial.kind](at[dial.name]);
        clear.disabled = dial.kind === "moment" ? !at[dial.name] : !at[dial.name]?.length;
        continue;
      }
      const position = at[dial.name] ?? 0;
      input.value = position;
      if (!input.shows) continue;
      input.shows.textContent = dial.values[position];
      input.setAttribute("aria-valuetext", `${dial.label} ${dial.values[position]}`);
    }
  }
}
