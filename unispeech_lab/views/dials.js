// Dials: the knobs of a stage as native sliders and menus, which keys and screen readers know.

class Dials {
  constructor(model, parent) {
    Object.assign(this, { model, parent });
    this.build();
  }

  build() {
    const focused = this.parent.querySelector(":focus")?.name;
    this.parent.replaceChildren();
    this.inputs = this.model.get("dials").map((dial) => {
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

  turned() {
    const at = this.model.get("knobs");
    for (const { dial, input } of this.inputs) {
      const position = at[dial.name] ?? 0;
      input.value = position;
      if (!input.shows) continue;
      input.shows.textContent = dial.values[position];
      input.setAttribute("aria-valuetext", `${dial.label} ${dial.values[position]}`);
    }
  }
}
