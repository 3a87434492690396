// Tabs: a strip of names over the stage; which panels a tab has is Python's answer.

class Tabs {
  constructor(model, parent, target) {
    Object.assign(this, { model, parent, target });
    parent.setAttribute("role", "tablist");
    parent.onkeydown = (event) => this.key(event);
    this.build();
  }

  build() {
    const names = this.model.get("tabs");
    this.parent.hidden = names.length < 2;
    this.tabs = names.map((name, k) => {
      const tab = make("button", "us-tab", null, { type: "button", textContent: name, onclick: () => this.choose(k) });
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", this.target.id);
      return tab;
    });
    this.parent.replaceChildren(...this.tabs);
    this.turned();
  }

  turned() {
    this.tabs.forEach((tab, k) => {
      const open = k === this.model.get("tab");
      tab.setAttribute("aria-selected", open);
      tab.tabIndex = open ? 0 : -1;
    });
  }

  choose(k) {
    this.model.set("tab", k);
    this.model.save_changes();
    this.turned();
  }

  key(event) {
    const last = this.tabs.length - 1, at = this.model.get("tab");
    const to = { ArrowLeft: at ? at - 1 : last, ArrowRight: at < last ? at + 1 : 0, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(to);
    this.tabs[to].focus();
  }
}
