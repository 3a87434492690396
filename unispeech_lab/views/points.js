// Points: dots with a colour and a sign for each kind, ten thousand of them at once.

const SHAPES = [
  (pen, r) => pen.arc(0, 0, r, 0, 7),
  (pen, r) => corners(pen, [0, -r * 1.15, r * 1.1, r * 0.85, -r * 1.1, r * 0.85]),
  (pen, r) => pen.rect(-r * 0.88, -r * 0.88, r * 1.76, r * 1.76),
  (pen, r) => corners(pen, [0, -r * 1.25, r * 1.05, 0, 0, r * 1.25, -r * 1.05, 0]),
  (pen, r) => (pen.rect(-r * 1.1, -r * 0.4, r * 2.2, r * 0.8), pen.rect(-r * 0.4, -r * 1.1, r * 0.8, r * 2.2)),
  (pen, r) => (pen.rotate(Math.PI / 4), pen.rect(-r * 1.2, -r * 0.4, r * 2.4, r * 0.8), pen.rect(-r * 0.4, -r * 1.2, r * 0.8, r * 2.4)),
  (pen, r) => corners(pen, [...Array(10)].flatMap((_, k) => {
    const far = k % 2 ? r * 0.55 : r * 1.35, turn = (k * Math.PI) / 5 - Math.PI / 2;
    return [far * Math.cos(turn), far * Math.sin(turn)];
  })),
  (pen, r) => corners(pen, [0, r * 1.15, r * 1.1, -r * 0.85, -r * 1.1, -r * 0.85]),
];

const corners = (pen, at) => {
  for (let k = 0; k < at.length; k += 2) pen.lineTo(at[k], at[k + 1]);
  pen.closePath();
};

// A kind's sign, drawn around the pen's origin: its own letter, or a shape; kinds of one colour differ in shape.
const drawSign = (pen, theme, kind, sign, r) => {
  pen.fillStyle = theme.curves[kind % theme.curves.length];
  if (sign) {
    pen.font = `600 ${Math.round(2.7 * r)}px ${theme.family}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    return pen.fillText(sign, 0, 0.1 * r);
  }
  pen.beginPath();
  SHAPES[(kind + Math.floor(kind / theme.curves.length)) % SHAPES.length](pen, r);
  pen.fill();
};

// A sign drawn once, to be stamped as often as it is needed.
const stampOf = (theme, kind, sign, r) => {
  const dense = window.devicePixelRatio || 1;
  const stamp = document.createElement("canvas");
  stamp.width = stamp.height = Math.ceil(6 * r * dense);
  const pen = stamp.getContext("2d");
  pen.setTransform(dense, 0, 0, dense, stamp.width / 2, stamp.height / 2);
  drawSign(pen, theme, kind, sign, r);
  return stamp;
};

MARKS.points = {
  open(mark) {
    const floats = (array) => bytes(array, Float32Array);
    return {
      ...mark, x: floats(mark.x), y: floats(mark.y), which: bytes(mark.which, Uint32Array), kinds: bytes(mark.kinds, Uint16Array),
      times: mark.times && bytes(mark.times, Float64Array), chosen: mark.chosen && bytes(mark.chosen, Uint8Array),
    };
  },
  radius: (mark) => (mark.x.length < 400 ? 4.5 : mark.x.length < 3000 ? 3.4 : 2.6),
  draw(pen, mark, place, theme) {
    const { x, y, kinds, chosen } = mark;
    const r = this.radius(mark), side = 6 * r;
    const picked = mark.lit === undefined ? chosen?.includes(1) && ((k) => chosen[k]) : (k) => kinds[k] === mark.lit;
    const stamps = mark.legend.map(([sign], kind) => stampOf(theme, kind, sign, r));
    const stamp = (k) => pen.drawImage(stamps[kinds[k]], place.x(x[k]) - side / 2, place.y(y[k]) - side / 2, side, side);
    pen.globalAlpha = picked ? 0.22 : 0.9;
    for (let k = 0; k < x.length; k++) if (!picked || !picked(k)) stamp(k);
    pen.globalAlpha = 1;
    if (picked) for (let k = 0; k < x.length; k++) if (picked(k)) stamp(k); // over the others
  },
  acts: () => true,
  count: (mark) => mark.x.length,
  // The nearest within a finger's width.
  find(mark, along, height, place) {
    if (height === undefined) return -1;
    const px = place.x(along), py = place.y(height);
    let best = -1, near = 14 ** 2;
    for (let k = 0; k < mark.x.length; k++) {
      const far = (place.x(mark.x[k]) - px) ** 2 + (place.y(mark.y[k]) - py) ** 2;
      if (far < near) (near = far), (best = k);
    }
    return best;
  },
  says(mark, along, height, place) {
    const k = this.find(mark, along, height, place);
    return k < 0 ? "" : this.tell(mark, k);
  },
  tell(mark, k) {
    const name = mark.names[mark.which[k]], kind = mark.legend[mark.kinds[k]][1];
    return [name, name.includes(kind) ? "" : kind, mark.chosen?.[k] ? "chosen" : ""].filter(Boolean).join("\n");
  },
  box(mark, k, place) {
    const r = this.radius(mark) + 4;
    const x = place.x(mark.x[k]), y = place.y(mark.y[k]);
    return { left: x - r, top: y - r, width: 2 * r, height: 2 * r, round: r };
  },
  // The nearest point that lies rather this way than another.
  step(mark, k, key, place) {
    const [dx, dy] = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] }[key];
    let best = k, near = Infinity;
    for (let other = 0; other < mark.x.length; other++) {
      const x = place.x(mark.x[other]) - place.x(mark.x[k]), y = place.y(mark.y[other]) - place.y(mark.y[k]);
      const ahead = x * dx + y * dy, beside = Math.abs(x * dy) + Math.abs(y * dx);
      if (ahead > 0.5 && ahead >= beside && ahead + 2 * beside < near) (near = ahead + 2 * beside), (best = other);
    }
    return best;
  },
};
