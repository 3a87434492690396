// Table: rows of words and numbers as HTML; a head sorts, a row turns knobs or plays.

MARKS.table = {
  open: (mark) => ({ ...mark, times: mark.times && bytes(mark.times, Float64Array) }),
  acts: (mark) => Boolean(mark.times || mark.sets.length),
  count: (mark) => mark.rows.length,
  draw() {},
};

class Table {
  constructor(stage, parent) {
    this.stage = stage;
    this.root = make("div", "us-table", parent);
    this.table = make("table", "", this.root);
    this.table.setAttribute("role", "grid");
    this.table.onkeydown = (event) => this.key(event);
  }

  show(panel, mark, height) {
    const same = JSON.stringify(this.mark?.columns) === JSON.stringify(mark.columns);
    Object.assign(this, { panel, mark });
    if (!same) Object.assign(this, { by: mark.by, falling: mark.falling && this.numeric(mark.by), at: 0 }); // words from a
    this.table.setAttribute("aria-label", panel.data.alt);
    this.root.style.maxHeight = `${height}px`;
    const rows = JSON.stringify(mark.rows);
    if (same && rows === this.rows) return this.turned(); // other numbers are another table, another choice is not
    this.rows = rows;
    this.build();
  }

  // Rows in order; empty cells come last, whichever way.
  get order() {
    const cell = (k) => this.mark.rows[k][this.by];
    const compare = (a, b) => {
      if (cell(a) === null || cell(b) === null) return (cell(a) === null) - (cell(b) === null);
      const less = typeof cell(a) === "string" ? cell(a).localeCompare(cell(b)) : cell(a) - cell(b);
      return this.falling ? -less : less;
    };
    return this.mark.rows.map((_, k) => k).sort((a, b) => compare(a, b) || a - b);
  }

  build() {
    const held = this.table.contains(document.activeElement) ? document.activeElement : null;
    const row = held?.closest("tr")?.dataset.row, column = held?.dataset.column;
    const head = make("tr", "", null);
    this.mark.columns.forEach(([name, unit], column) => {
      const cell = make("th", "", head);
      cell.scope = "col";
      const sorted = column === this.by;
      cell.setAttribute("aria-sort", !sorted ? "none" : this.falling ? "descending" : "ascending");
      const button = make("button", "", cell, { type: "button", textContent: unit ? `${name}, ${unit}` : name, onclick: () => this.sort(column) });
      button.dataset.column = column;
      button.title = this.mark.meanings[column] ?? "";
      make("span", "us-sign", button, { textContent: sorted ? (this.falling ? " ▾" : " ▴") : "" }).setAttribute("aria-hidden", "true");
      if (this.numeric(column)) cell.classList.add("us-number");
    });
    const acts = MARKS.table.acts(this.mark);
    const rows = this.order.map((k, place) => {
      const line = make("tr", "", null);
      line.dataset.row = k;
      line.setAttribute("aria-selected", this.marked(k));
      this.mark.rows[k].forEach((cell, column) =>
        make("td", this.numeric(column) ? "us-number" : "", line, { textContent: cell === null ? "" : typeof cell === "string" ? cell : figures(cell) }));
      if (acts) {
        line.tabIndex = place === this.at ? 0 : -1;
        line.onclick = (event) => (this.rest(place), this.stage.hands.act(this.panel, this.mark, k, event.shiftKey));
      }
      return line;
    });
    const [thead, tbody] = [make("thead", "", null), make("tbody", "", null)];
    thead.append(head);
    tbody.append(...rows);
    this.table.replaceChildren(thead, tbody);
    if (column !== undefined) this.table.querySelector(`button[data-column="${column}"]`)?.focus();
    else if (row !== undefined) this.table.querySelector(`tr[data-row="${row}"]`)?.focus({ preventScroll: true });
  }

  numeric(column) {
    return this.mark.rows.every((row) => typeof row[column] !== "string");
  }

  marked(k) {
    const { model } = this.stage;
    return k === this.mark.chosen || isTurned(turnsOf(this.mark, k), model.get("dials"), model.get("knobs"));
  }

  turned() {
    for (const line of this.table.tBodies[0]?.rows ?? []) line.setAttribute("aria-selected", this.marked(Number(line.dataset.row)));
  }

  sort(column) {
    this.falling = column === this.by ? !this.falling : this.numeric(column);
    this.by = column;
    this.build();
  }

  // The one row that Tab reaches.
  rest(place) {
    const lines = [...this.table.tBodies[0].rows];
    lines[this.at] && (lines[this.at].tabIndex = -1);
    this.at = clamp(place, 0, lines.length - 1);
    lines[this.at].tabIndex = 0;
    return lines[this.at];
  }

  key(event) {
    const line = event.target.closest("tbody tr");
    const lines = this.table.tBodies[0].rows.length;
    const to = { ArrowUp: this.at - 1, ArrowDown: this.at + 1, Home: 0, End: lines - 1 }[event.key];
    const acts = line && ["Enter", " "].includes(event.key);
    if (!acts && (!line || to === undefined)) return;
    event.preventDefault();
    event.stopPropagation();
    if (acts) line.click();
    else this.rest(to).focus();
  }
}
