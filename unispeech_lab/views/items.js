// Items: what a click on a bar, a cell, a point, a key or a row of a table plays, and which knobs it turns.

// Stretches of sound [start, end] that an item plays, in seconds of the utterance or, if the mark says so, of the album.
const soundsOf = (mark, k) => {
  const kind = MARKS[mark.kind];
  if (kind.sounds) return kind.sounds(mark, k);
  const stretch = kind.stretch ? kind.stretch(mark, k) : mark.times ? [mark.times[2 * k], mark.times[2 * k + 1]] : null;
  return stretch ? [stretch] : [];
};

// Knob by knob where an item turns it: {position} or {value} as Python wrote it.
const turnsOf = (mark, k) => {
  const kind = MARKS[mark.kind];
  if (kind.turns) return kind.turns(mark, k);
  return Object.entries(mark.sets?.[k] ?? {}).map(([name, value]) => [name, { value }]);
};

// What is sent for such a turn; undefined where the dial has no such value.
const sentFor = (dial, { position, value }) => {
  if (dial.kind !== "choice") return dial.kind === "moment" ? Number(value) : value;
  const same = (text) => text === value || (text !== "" && Number(text) === Number(value));
  const at = position ?? (dial.values.includes(value) ? dial.values.indexOf(value) : dial.values.findIndex(same));
  return at >= 0 && at < dial.values.length ? at : undefined;
};

// Whether the knobs already stand where an item turns them, and it turns some.
const isTurned = (turns, dials, knobs) => {
  const known = turns.map(([name, turn]) => [dials.find((dial) => dial.name === name), turn]).filter(([dial]) => dial?.kind === "choice");
  return known.length > 0 && known.every(([dial, turn]) => knobs[dial.name] === sentFor(dial, turn));
};

// A mark's items that stand where the knobs are.
const turnedOf = (mark, dials, knobs) => {
  if (!mark.sets?.length) return [];
  if (MARKS[mark.kind].turned) return MARKS[mark.kind].turned(mark, dials, knobs);
  return [...mark.sets.keys()].filter((k) => isTurned(turnsOf(mark, k), dials, knobs));
};

// Of a mark's items those that sound within the utterance: [start, end, item], in its seconds.
const within = (mark, place, seconds) => {
  if ((!mark.times && !mark.stretches) || (mark.album && place < 0)) return [];
  const shift = mark.album ? place : 0;
  const found = [];
  for (let k = 0; k < MARKS[mark.kind].count(mark); k++)
    for (const [start, end] of soundsOf(mark, k))
      if (start - shift > -1e-3 && end - shift < seconds + 1e-3) found.push([start - shift, end - shift, k]);
  return found;
};

// Stretches in order, those that touch joined.
const joined = (stretches) => {
  const kept = [];
  for (const [start, end] of [...stretches].sort((a, b) => a[0] - b[0]))
    if (kept.length && start <= kept.at(-1)[1] + 1e-6) kept.at(-1)[1] = Math.max(kept.at(-1)[1], end);
    else kept.push([start, end]);
  return kept;
};
