// What Python embedded, decoded: studies, screens and where things are on the page. No drawing, no controls.

// Posters have the codes 0 to R*C - 1, row by row; then come R headings, R forward arrows, R backward arrows.
const KINDS = ["poster", "heading", "forward arrow", "backward arrow"];
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const UNKNOWN = 4095;

function decodeStudy(raw) {
  const { rows, visible, pages } = raw.layout;
  const columns = visible * pages;
  const cells = rows * columns;
  return { ...raw, rows, visible, pages, columns, cells, all: unpack(raw.all), exam: raw.model && unpack(raw.model.exam) };
}

// Two letters a number: 12 bits of the largest, all ones for what is unknown.
function unpack(packed) {
  if (!packed) return null;
  const values = new Float64Array(packed.q.length / 2);
  for (let i = 0; i < values.length; i += 1) {
    const level = ALPHABET.indexOf(packed.q[2 * i]) * 64 + ALPHABET.indexOf(packed.q[2 * i + 1]);
    values[i] = level === UNKNOWN ? NaN : (level * packed.max) / (UNKNOWN - 1);
  }
  return values;
}

function areaOf(study, code) {
  if (code < 0) return { kind: "background", row: -1, column: -1, code };
  if (code < study.cells) return { kind: "poster", row: Math.floor(code / study.columns), column: code % study.columns, code };
  const other = code - study.cells;
  return { kind: KINDS[1 + Math.floor(other / study.rows)], row: other % study.rows, column: -1, code };
}

// Visits come as [milliseconds since the last one began, duration, area], one after the other.
function visitsOf(study, flat) {
  const visits = [];
  let start = 0;
  for (let i = 0; i < flat.length; i += 3) {
    start += flat[i];
    visits.push({ start, end: start + flat[i + 1], duration: flat[i + 1], ...areaOf(study, flat[i + 2]) });
  }
  return visits;
}

function decodeScreen(study, number) {
  const raw = study.screens[number];
  const gaze = visitsOf(study, raw.f);
  const screen = {
    number,
    raw,
    task: study.tasks[raw.t],
    gaze,
    cursor: visitsOf(study, raw.c),
    clicks: visitsOf(study, raw.k),
    turns: triples(raw.p),
    length: Math.max(raw.d, 1),
    click: unpack(raw.m),
  };
  placeGaze(study, screen);
  screen.cursor.forEach((visit) => Object.assign(visit, middle(study, visit)));
  screen.clicks.forEach((visit) => Object.assign(visit, middle(study, visit)));
  screen.scrolls = scrollsOf(study, screen);
  return screen;
}

function triples(flat) {
  const turns = [];
  for (let i = 0; i < flat.length; i += 3) turns.push({ time: flat[i], row: flat[i + 1], page: flat[i + 2] });
  return turns;
}

// Measured positions where there are some. Otherwise the middle of the area, moved a little by a fixed rule, so that
// looks at one poster do not cover each other and every replay is the same.
function placeGaze(study, screen) {
  const places = screen.raw.xy;
  let last = { x: study.layout.width / 2, y: study.layout.top[0] };
  screen.gaze.forEach((visit, i) => {
    const at = places ? { x: places[2 * i], y: places[2 * i + 1] } : spread(study, visit, i);
    visit.nowhere = !at;
    Object.assign(visit, at || last);
    last = { x: visit.x, y: visit.y };
  });
}

function spread(study, visit, i) {
  if (visit.kind === "background") return null;
  const at = middle(study, visit);
  if (visit.kind !== "poster") return at;
  const box = posterBox(study, visit.row, visit.column % study.visible);
  const hash = Math.imul(visit.start + 31 * i + 1, 2654435761) >>> 0;
  const across = ((hash & 0xffff) / 0xffff - 0.5) * 0.5;
  const down = ((hash >>> 16) / 0xffff - 0.5) * 0.5;
  return { x: at.x + across * box.width, y: at.y + down * box.height };
}

function posterBox(study, row, place) {
  const { left, right, top, bottom } = study.layout;
  return { x: left[place], y: top[row], width: right[place] - left[place], height: bottom[row] - top[row] };
}

// Boxes that a layout does not have are null.
function arrowBox(study, kind, row) {
  const box = study.layout[{ heading: "headings", "forward arrow": "forward", "backward arrow": "backward" }[kind]][row];
  return box && { x: box[0], y: box[2], width: box[1] - box[0], height: box[3] - box[2] };
}

function middle(study, visit) {
  if (visit.row < 0) return { x: study.layout.width / 2, y: study.layout.top[0] };
  const box = visit.kind === "poster" ? posterBox(study, visit.row, visit.column % study.visible) : arrowBox(study, visit.kind, visit.row);
  const found = box || posterBox(study, visit.row, visit.kind === "forward arrow" ? study.visible - 1 : 0);
  return { x: found.x + found.width / 2, y: found.y + found.height / 2 };
}

// The part of the page that fits on the screen, without the bars that cover its top and bottom.
function windowOf(study) {
  const { width, height, bars } = study.layout;
  const screen = bars.length ? Math.max(...bars.map((bar) => bar[1])) : (width * 9) / 16;
  const top = bars.length && bars[0][0] <= 0 ? bars[0][1] : 0;
  const bottom = bars.length > 1 ? bars[bars.length - 1][0] : screen;
  return { top, bottom, most: Math.max(height - screen, 0), height: Math.min(bottom, height) - top };
}

// How far the page must have been scrolled for each look to be on the screen, moving it as little as possible.
function scrollsOf(study, screen) {
  const frame = windowOf(study);
  const moves = [];
  let scroll = 0;
  for (const visit of screen.gaze) {
    if (visit.row < 0) continue;
    const heading = arrowBox(study, "heading", visit.row);
    const box = posterBox(study, visit.row, 0);
    const top = (heading ? Math.min(heading.y, box.y) : box.y) - frame.top - 12;
    const bottom = box.y + box.height - frame.bottom + 24;
    const next = Math.min(Math.max(Math.min(Math.max(scroll, bottom), top), 0), frame.most);
    if (Math.abs(next - scroll) > 1) moves.push({ time: visit.start, from: scroll, to: next });
    scroll = next;
  }
  return moves;
}

const SCROLL_TIME = 260;

function scrollAt(screen, time, still) {
  let scroll = 0;
  for (const move of screen.scrolls) {
    const begin = move.time - (still ? 0 : SCROLL_TIME);
    if (time < begin) break;
    const share = still ? 1 : Math.min((time - begin) / SCROLL_TIME, 1);
    scroll = move.from + (move.to - move.from) * share * (2 - share);
  }
  return scroll;
}

function pagesAt(study, screen, time) {
  const pages = new Array(study.rows).fill(0);
  for (const turn of screen.turns) {
    if (turn.time > time) break;
    pages[turn.row] = turn.page;
  }
  return pages;
}

// The last visit that has begun, -1 before the first.
function lastBegun(visits, time) {
  let low = 0;
  let high = visits.length;
  while (low < high) {
    const half = (low + high) >> 1;
    if (visits[half].start <= time) low = half + 1;
    else high = half;
  }
  return low - 1;
}

// Seconds that each poster was looked at until some time, and how many posters that were.
function looksUntil(study, screen, time) {
  const dwell = new Float64Array(study.cells);
  for (const visit of screen.gaze) {
    if (visit.start > time) break;
    if (visit.kind === "poster") dwell[visit.code] += Math.max(Math.min(visit.end, time) - visit.start, 1) / 1000;
  }
  return { dwell, number: dwell.reduce((sum, value) => sum + (value > 0), 0) };
}

function filmName(screen, cell) {
  const film = screen.task.films[cell];
  return typeof film === "number" ? `film ${film}` : film || "no film";
}

function genreName(study, screen, row) {
  return study.genres[screen.task.genres[row]] || "unknown genre";
}

function areaName(study, screen, area) {
  if (area.kind === "background") return "beside all areas";
  const carousel = `carousel ${area.row + 1} (${genreName(study, screen, area.row)})`;
  if (area.kind !== "poster") return `${area.kind} of ${carousel}`;
  return `${filmName(screen, area.code)}, ${carousel}, position ${area.column + 1}`;
}
