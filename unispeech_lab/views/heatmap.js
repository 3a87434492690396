// Heatmap: numbers as colours; a click on a cell may turn knobs, or play what its column heard.

MARKS.heatmap = {
  open(mark, maps) {
    const [rows, columns] = mark.shape;
    const cells = bytes(mark.cells, Uint8Array);
    const colours = maps[mark.map];
    const image = new ImageData(Math.max(columns, 1), Math.max(rows, 1));
    for (let row = 0; row < rows; row++) {
      let to = (rows - 1 - row) * columns * 4; // row 0 lies at the bottom
      for (let from = row * columns; from < (row + 1) * columns; from++, to += 4) {
        const cell = cells[from];
        if (cell === 255) continue; // nothing there: the ground shows
        image.data[to] = colours[3 * cell];
        image.data[to + 1] = colours[3 * cell + 1];
        image.data[to + 2] = colours[3 * cell + 2];
        image.data[to + 3] = 255;
      }
    }
    const picture = document.createElement("canvas");
    picture.width = image.width;
    picture.height = image.height;
    picture.getContext("2d").putImageData(image, 0, 0);
    return { ...mark, cells, picture, colours, kinds: mark.kinds && bytes(mark.kinds, Uint8Array) };
  },
  draw(pen, mark, place, theme) {
    const left = place.x(mark.x[0]), right = place.x(mark.x[1]);
    const bottom = place.y(mark.y[0]), top = place.y(mark.y[1]);
    // Large cells keep their edges; more cells than pixels are averaged instead of dropped.
    pen.imageSmoothingEnabled = mark.shape[0] > bottom - top || mark.shape[1] > right - left;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(mark.picture, left, top, right - left, bottom - top);
  },
  // The scale beside the picture: its two ends in numbers, its colours between them.
  scale(pen, mark, place, theme) {
    const left = place.left + place.width + 8, width = 9;
    for (let i = 0; i < 64; i++) {
      const c = 3 * Math.round((i / 63) * 254);
      pen.fillStyle = `rgb(${mark.colours[c]},${mark.colours[c + 1]},${mark.colours[c + 2]})`;
      const top = place.top + (place.height * (63 - i)) / 64;
      pen.fillRect(left, top, width, place.height / 64 + 0.6);
    }
    pen.fillStyle = theme.faint;
    pen.textAlign = "left";
    pen.textBaseline = "top";
    pen.fillText(figures(mark.high, mark.unit), left + width + 4, place.top);
    pen.textBaseline = "bottom";
    pen.fillText(figures(mark.low, mark.unit), left + width + 4, place.top + place.height);
  },
  // The cell at a place, counted row by row from the bottom left; -1 beside the picture. An item is a tile, which is
  // a cell where the picture is no mosaic.
  cell(mark, along, height, [rows, columns] = mark.shape) {
    const column = Math.floor(((along - mark.x[0]) / (mark.x[1] - mark.x[0])) * columns);
    const row = Math.floor(((height - mark.y[0]) / (mark.y[1] - mark.y[0])) * rows);
    return column < 0 || column >= columns || row < 0 || row >= rows ? -1 : row * columns + column;
  },
  says(mark, along, height) {
    const cell = this.cell(mark, along, height);
    return cell < 0 ? "" : this.tell(mark, this.cell(mark, along, height, mark.tiles), cell);
  },
  tell(mark, k, at = this.count(mark) === mark.cells.length ? k : -1) {
    const columns = mark.tiles[1];
    const names = [mark.rows[Math.floor(k / columns)], mark.columns[k % columns]].filter(Boolean);
    if (at < 0) return names.join(", "); // a tile is many numbers
    const where = names.length ? `${names.join(", ")}: ` : "";
    const cell = mark.cells[at];
    if (cell === 255) return `${where}nothing here`;
    const bound = cell === 254 ? "≥ " : cell === 0 ? "≤ " : "";
    const word = mark.kinds && mark.legend[mark.kinds[at]];
    return `${where}${mark.quantity} ${bound}${figures(mark.low + (cell / 254) * (mark.high - mark.low), mark.unit)}${word ? `, ${word}` : ""}`;
  },

  acts: (mark) => Boolean(mark.reach || mark.sets.some(Boolean)),
  find(mark, along, height) {
    return this.acts(mark) && height !== undefined ? this.cell(mark, along, height, mark.tiles) : -1;
  },
  count: (mark) => mark.tiles[0] * mark.tiles[1],
  // What a column heard, around its middle.
  stretch(mark, k) {
    if (!mark.reach) return null;
    const columns = mark.tiles[1];
    const middle = mark.x[0] + (((k % columns) + 0.5) / columns) * (mark.x[1] - mark.x[0]);
    return [middle - mark.reach[0], middle + mark.reach[1]];
  },
  // Knob by knob its position, which here is the column or the row, or the value that is given for it.
  turns(mark, k) {
    return [k % mark.tiles[1], Math.floor(k / mark.tiles[1])].map((at, side) => this.turn(mark, side, at)).filter(Boolean);
  },
  turn(mark, side, at) {
    const set = mark.sets[side];
    return !set ? null : typeof set === "string" ? [set, { position: at }] : [set[0], { value: set[1][at] }];
  },
  // Where both column and row are knobs, the one tile where they stand; else the first of that column or row.
  turned(mark, dials, knobs) {
    const found = mark.tiles.toReversed().map((count, side) =>
      mark.sets[side] ? [...Array(count).keys()].find((at) => isTurned([this.turn(mark, side, at)], dials, knobs)) : null);
    if (found.includes(undefined) || found.every((at) => at === null)) return [];
    return [(found[1] ?? 0) * mark.tiles[1] + (found[0] ?? 0)];
  },
  // A tile; all of its column or row, where that alone is what a click means.
  box(mark, k, place) {
    const [rows, columns] = mark.tiles;
    const [byColumn, byRow] = mark.sets.map(Boolean);
    const wide = (mark.x[1] - mark.x[0]) / columns, tall = (mark.y[1] - mark.y[0]) / rows;
    const left = mark.x[0] + (k % columns) * wide, bottom = mark.y[0] + Math.floor(k / columns) * tall;
    const [x0, x1] = byRow && !byColumn ? mark.x : [left, left + wide];
    const [y0, y1] = byColumn && !byRow ? mark.y : [bottom, bottom + tall];
    return boxOf(place.x(x0), place.y(y0), place.x(x1), place.y(y1));
  },
  step(mark, k, key) {
    const [rows, columns] = mark.tiles;
    const column = clamp((k % columns) + ({ arrowleft: -1, arrowright: 1 }[key] ?? 0), 0, columns - 1);
    return clamp(Math.floor(k / columns) + ({ arrowdown: -1, arrowup: 1 }[key] ?? 0), 0, rows - 1) * columns + column;
  },

  // The same picture over time, laid upright along the left of a plot: its row 0 beside the plot.
  sideways(pen, mark, place, strip) {
    const bottom = place.y(mark.x[0]), top = place.y(mark.x[1]);
    pen.save();
    pen.beginPath();
    pen.rect(place.left - strip, place.top, strip - 3, place.height);
    pen.clip();
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.translate(place.left - 3, bottom);
    pen.rotate(-Math.PI / 2);
    pen.drawImage(mark.picture, 0, 3 - strip, bottom - top, strip - 3);
    pen.restore();
  },
};
MARKS.matrix = MARKS.heatmap;
