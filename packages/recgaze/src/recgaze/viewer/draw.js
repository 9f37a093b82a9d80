// Pictures of a moment: the page, the timeline, the small grids. Reads a state, changes nothing.

const TRAIL = 7;

function themeOf(root) {
  const style = getComputedStyle(root);
  const names = ["ink", "muted", "page", "poster", "edge", "gaze", "cursor", "click", "heat", "target"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--rv-${name}`).trim()]));
}

// A canvas as wide as its place, sharp on any screen. Returns a context in CSS pixels.
function contextOf(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// Somewhat steeper than the number at its low end, so that what is rare can still be seen.
function shade(value, most) {
  return 0.04 + 0.96 * Math.min(value / most, 1) ** 0.75;
}

// -- the page -------------------------------------------------------------------------------------------------------

function drawPage(context, view) {
  const { study, scale, scroll, theme } = view;
  context.save();
  context.fillStyle = theme.page;
  context.fillRect(0, 0, view.width, view.height);
  const visible = (y, height) => (y + height - scroll) * scale > 0 && (y - scroll) * scale < view.height;
  for (let row = 0; row < study.rows; row += 1) {
    const box = posterBox(study, row, 0);
    if (visible(box.y - 90, box.height + 90)) drawCarousel(context, view, row);
  }
  if (view.show.gaze) drawGaze(context, view);
  if (view.show.cursor) drawCursor(context, view);
  drawClicks(context, view);
  context.restore();
}

function rectangle(view, box) {
  const { scale, scroll } = view;
  return [box.x * scale, (box.y - scroll) * scale, box.width * scale, box.height * scale];
}

function drawCarousel(context, view, row) {
  const { study, screen, theme, scale } = view;
  const page = view.pages[row];
  const first = posterBox(study, row, 0);
  const heading = arrowBox(study, "heading", row);
  const size = Math.min(Math.max(36 * scale, 9), 17);
  const [x, y] = rectangle(view, heading || { ...first, y: first.y - 50, height: 40 });
  context.fillStyle = theme.ink;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "middle";
  context.fillText(genreName(study, screen, row), x, y + (heading ? heading.height * scale : 40 * scale) / 2);
  drawDots(context, view, row, page);
  for (let place = 0; place < study.visible; place += 1) drawPoster(context, view, row, place, page);
  drawArrow(context, view, row, "backward arrow", page);
  drawArrow(context, view, row, "forward arrow", page);
}

function drawDots(context, view, row, page) {
  const { study, theme, scale } = view;
  if (study.pages < 2) return;
  const last = posterBox(study, row, study.visible - 1);
  const [right, top] = rectangle(view, { x: last.x + last.width, y: last.y, width: 0, height: 0 });
  const radius = Math.max(6 * scale, 2);
  for (let i = 0; i < study.pages; i += 1) {
    context.beginPath();
    context.arc(right - radius - (study.pages - 1 - i) * radius * 3.4, top - Math.max(24 * scale, 7), radius, 0, 2 * Math.PI);
    context.fillStyle = i === page ? theme.ink : theme.edge;
    context.fill();
  }
}

function drawPoster(context, view, row, place, page) {
  const { study, screen, theme } = view;
  const column = page * study.visible + place;
  const cell = row * study.columns + column;
  const [x, y, width, height] = rectangle(view, posterBox(study, row, place));
  context.fillStyle = theme.poster;
  context.fillRect(x, y, width, height);
  const heat = view.overlay && view.overlay.values[cell];
  if (heat > 0) {
    context.globalAlpha = shade(heat, view.overlay.most);
    context.fillStyle = theme.heat;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 1;
  }
  context.strokeStyle = theme.edge;
  context.lineWidth = 1;
  context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
  label(context, view, filmName(screen, cell), column + 1, view.overlay ? view.overlay.say(heat) : "", [x, y, width, height]);
  outline(context, view, cell, [x, y, width, height]);
}

function label(context, view, name, position, value, [x, y, width, height]) {
  const size = Math.min(Math.max(30 * view.scale, 8.5), 13);
  const pad = Math.min(8, width / 12);
  const below = value ? 1 : 0;
  const lines = Math.floor((height - 2 * pad) / (size * 1.25)) - below;
  context.fillStyle = view.theme.ink;
  context.font = `${size}px system-ui, sans-serif`;
  context.textBaseline = "top";
  wrapped(context, `${position}  ${name}`, width - 2 * pad, Math.min(Math.max(lines, 0), 4)).forEach((line, i) => {
    context.fillText(line, x + pad, y + pad + i * size * 1.25);
  });
  if (!value) return;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  context.fillText(value, x + pad, y + height - pad / 2);
}

const wrappedBefore = new Map();

function wrapped(context, text, width, most) {
  const key = `${context.font}|${Math.round(width)}|${most}|${text}`;
  if (wrappedBefore.size > 20000) wrappedBefore.clear();
  if (!wrappedBefore.has(key)) wrappedBefore.set(key, wrap(context, text, width, most));
  return wrappedBefore.get(key);
}

function wrap(context, text, width, most) {
  const fits = (line) => context.measureText(line).width <= width;
  const cut = (line) => {
    let kept = line;
    while (kept.length > 1 && !fits(`${kept}…`)) kept = kept.slice(0, -1);
    return fits(line) ? line : `${kept}…`;
  };
  const lines = [];
  let line = "";
  for (const word of text.split(" ")) {
    const longer = line ? `${line} ${word}` : word;
    if (fits(longer) || !line) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  lines.push(line);
  if (lines.length <= most) return lines.map(cut);
  return [...lines.slice(0, most - 1), lines.slice(Math.max(most - 1, 0)).join(" ")].slice(0, most).map(cut);
}

function outline(context, view, cell, [x, y, width, height]) {
  const { screen, study, theme, time } = view;
  const target = screen.task.target;
  const stroke = (colour, dash, inset) => {
    context.save();
    context.strokeStyle = colour;
    context.lineWidth = 3;
    context.setLineDash(dash);
    context.strokeRect(x + inset, y + inset, width - 2 * inset, height - 2 * inset);
    context.restore();
  };
  if (target && cell === (target[0] - 1) * study.columns + target[1] - 1) stroke(theme.target, [6, 4], 4);
  if (screen.raw.s === cell && time >= screen.selectedAt) stroke(theme.click, [], 1);
}

function drawArrow(context, view, row, kind, page) {
  const { study, theme, scale, scroll } = view;
  if (study.pages < 2) return;
  const at = middle(study, { row, kind, column: -1 });
  const [x, y] = [at.x * scale, (at.y - scroll) * scale];
  const size = Math.max(15 * scale, 5) * (kind === "forward arrow" ? 1 : -1);
  context.beginPath();
  context.moveTo(x - size / 2, y - Math.abs(size));
  context.lineTo(x + size / 2, y);
  context.lineTo(x - size / 2, y + Math.abs(size));
  context.strokeStyle = view.chosenRow === row && view.paused ? theme.gaze : theme.ink;
  context.lineWidth = Math.max(5 * scale, 1.6);
  context.globalAlpha = page === 0 && kind === "backward arrow" ? 0.45 : 1;
  context.stroke();
  context.globalAlpha = 1;
}

// -- what moves on it -----------------------------------------------------------------------------------------------

// Circles grow with the root of the duration: their area is the time.
function radiusOf(visit, scale) {
  return Math.max((14 + 1.9 * Math.sqrt(Math.max(visit.duration, 0))) * scale, 4);
}

function drawGaze(context, view) {
  const { screen, time, scale, scroll, theme, study } = view;
  const last = lastBegun(screen.gaze, time);
  if (last < 0) return;
  const from = view.show.trail ? Math.max(0, last - TRAIL) : last;
  context.strokeStyle = context.fillStyle = theme.gaze;
  for (let i = from; i <= last; i += 1) {
    const visit = screen.gaze[i];
    // What was looked at on another page of the carousel is no longer there.
    const gone = visit.kind === "poster" && Math.floor(visit.column / study.visible) !== view.pages[visit.row];
    const fade = (1 - (last - i) / (TRAIL + 2)) * (gone ? 0.35 : 1);
    const [x, y] = [visit.x * scale, (visit.y - scroll) * scale];
    if (i > from) {
      const before = screen.gaze[i - 1];
      context.globalAlpha = 0.8 * fade;
      context.lineWidth = 1.6;
      context.beginPath();
      context.moveTo(before.x * scale, (before.y - scroll) * scale);
      context.lineTo(x, y);
      context.stroke();
    }
    drawLook(context, view, visit, i, i === last && time <= visit.end, fade, [x, y]);
  }
  context.globalAlpha = 1;
}

function drawLook(context, view, visit, i, now, fade, [x, y]) {
  const radius = radiusOf(visit, view.scale);
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.globalAlpha = (now ? 0.8 : 0.3) * fade;
  if (!visit.nowhere) context.fill();
  context.globalAlpha = fade;
  context.lineWidth = now ? 3 : 1.4;
  context.setLineDash(visit.nowhere ? [4, 3] : []);
  context.stroke();
  context.setLineDash([]);
  if (radius < 9 || fade < 0.7) return;
  context.save();
  context.fillStyle = now ? "#ffffff" : view.theme.ink;
  context.font = `600 ${Math.min(radius, 12)}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(String(i + 1), x, y);
  context.restore();
}

const POINTER = [[0, 0], [0, 17], [4.2, 13.4], [7, 19.5], [9.8, 18.2], [7.1, 12.2], [12.5, 12]];

function drawCursor(context, view) {
  const { screen, time, scale, scroll, theme } = view;
  const visit = screen.cursor[lastBegun(screen.cursor, time)];
  if (!visit) return;
  context.beginPath();
  POINTER.forEach(([dx, dy], i) => context[i ? "lineTo" : "moveTo"](visit.x * scale + dx, (visit.y - scroll) * scale + dy));
  context.closePath();
  context.fillStyle = theme.cursor;
  context.strokeStyle = theme.page;
  context.lineWidth = 1.2;
  context.fill();
  context.stroke();
}

const RIPPLE = 500;

function drawClicks(context, view) {
  const { screen, time, scale, scroll, theme } = view;
  for (const click of screen.clicks) {
    const age = time - click.start;
    if (age < 0 || age > RIPPLE) continue;
    context.beginPath();
    context.arc(click.x * scale, (click.y - scroll) * scale, 6 + (view.still ? 8 : (24 * age) / RIPPLE), 0, 2 * Math.PI);
    context.strokeStyle = theme.click;
    context.lineWidth = 3;
    context.stroke();
  }
}

// -- beside it ------------------------------------------------------------------------------------------------------

// Carousels from top to bottom, time from left to right: what was looked at, where the cursor was, what was clicked.
function drawTimeline(context, view, width, height) {
  const { study, screen, theme, time } = view;
  const x = (at) => (at / screen.length) * width;
  const lane = height / study.rows;
  const y = (row) => (row + 0.5) * lane;
  context.fillStyle = theme.poster;
  for (let row = 0; row < study.rows; row += 2) context.fillRect(0, row * lane, width, lane);
  context.fillStyle = theme.cursor;
  for (const visit of screen.cursor) {
    if (visit.row >= 0) context.fillRect(x(visit.start), y(visit.row) + lane * 0.22, Math.max(x(visit.duration), 1), Math.max(lane * 0.16, 1));
  }
  context.fillStyle = theme.gaze;
  for (const visit of screen.gaze) {
    if (visit.row >= 0) context.fillRect(x(visit.start), y(visit.row) - lane * 0.34, Math.max(x(visit.duration) - 0.5, 1), lane * 0.5);
  }
  context.strokeStyle = context.fillStyle = theme.click;
  context.lineWidth = 1.5;
  for (const click of screen.clicks) {
    context.beginPath();
    context.arc(Math.min(x(click.start), width - 4), y(click.row), 3.4, 0, 2 * Math.PI);
    if (click.kind === "poster") context.fill();
    else context.stroke();
  }
  context.fillStyle = theme.ink;
  context.fillRect(Math.min(x(time), width - 1.5), 0, 1.5, height);
}

// All positions of all carousels as a small map, shaded by value.
function drawGrid(context, view, values, most, width, height) {
  const { study, theme, screen, time } = view;
  const wide = width / (study.columns + (study.pages - 1) * 0.35);
  const high = height / study.rows;
  for (let cell = 0; cell < study.cells; cell += 1) {
    const row = Math.floor(cell / study.columns);
    const column = cell % study.columns;
    const x = (column + Math.floor(column / study.visible) * 0.35) * wide;
    const box = [x + 0.5, row * high + 0.5, wide - 1.5, high - 1.5];
    context.fillStyle = theme.poster;
    context.fillRect(...box);
    if (values[cell] > 0) {
      context.globalAlpha = shade(values[cell], most);
      context.fillStyle = theme.heat;
      context.fillRect(...box);
      context.globalAlpha = 1;
    }
    if (screen.raw.s === cell && time >= screen.selectedAt) {
      context.strokeStyle = theme.click;
      context.lineWidth = 2.5;
      context.strokeRect(...box);
    }
    const now = screen.gaze[lastBegun(screen.gaze, time)];
    if (now && now.code === cell) {
      context.strokeStyle = theme.gaze;
      context.lineWidth = 2;
      context.strokeRect(...box);
    }
  }
}
