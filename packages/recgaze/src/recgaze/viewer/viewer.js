// The controls: what is shown, playing, stepping, swiping by hand, keys, and what is said to those who listen.

const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");
const DARK = window.matchMedia("(prefers-color-scheme: dark)");

const percent = (value) => {
  if (!(value >= 0)) return "–";
  const share = 100 * value;
  return `${share >= 10 ? share.toFixed(0) : share >= 0.1 ? share.toFixed(1) : share > 0 ? "<0.1" : "0"}%`;
};
const seconds = (milliseconds) => (milliseconds / 1000).toFixed(1);

class Viewer {
  constructor(root) {
    this.root = root;
    this.parts = Object.fromEntries([...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
    this.study = decodeStudy(JSON.parse(this.parts.data.textContent));
    this.time = 0;
    this.playing = false;
    this.chosenRow = 0;
    this.byHand = new Map();
    this.theme = themeOf(root);
    this.fillChoices();
    this.listen();
    if (root.clientWidth < 640) this.parts.whole.checked = true;
    this.open(this.study.first);
    root.dataset.ready = "true";
  }

  // -- screens ------------------------------------------------------------------------------------------------------

  fillChoices() {
    const { study, parts } = this;
    this.screensOf = study.users.map(() => []);
    study.screens.forEach((screen, number) => this.screensOf[screen.u].push(number));
    study.users.forEach((user, i) => this.screensOf[i].length && parts.user.add(new Option(user, i)));
    const kinds = study.model ? ["exam", "click"] : [];
    [...parts.overlay.options].forEach((option) => {
      option.hidden = option.disabled = ["exam", "click"].includes(option.value) && !kinds.includes(option.value);
      if (option.value === "exam" && !study.exam) option.hidden = option.disabled = true;
    });
    parts.modelpanel.hidden = !study.model;
    parts.modelname.textContent = study.model ? study.model.name : "";
    parts.notes.textContent = study.notes;
    for (let row = 0; row < study.rows; row += 1) parts.row.add(new Option(row + 1, row));
    parts.swipes.hidden = study.pages < 2;
  }

  open(number) {
    const { study, parts } = this;
    this.pause();
    this.screen = decodeScreen(study, number);
    const chosen = this.screen.clicks.filter((click) => click.kind === "poster" && click.code === this.screen.raw.s).pop();
    this.screen.selectedAt = chosen ? chosen.start : this.screen.length;
    const user = this.screen.raw.u;
    parts.user.value = user;
    parts.task.replaceChildren(
      ...this.screensOf[user].map((at) => new Option(`${study.screens[at].t} · ${study.tasks[study.screens[at].t].kind}`, at)),
    );
    parts.task.value = number;
    parts.slider.max = this.screen.length;
    [...parts.row.options].forEach((option) => {
      option.textContent = `${Number(option.value) + 1} ${genreName(study, this.screen, Number(option.value))}`;
    });
    this.seek(0);
    this.say(`Screen ${this.screen.raw.t} of ${study.users[user]}, ${seconds(this.screen.length)} seconds.`);
  }

  // The next or the last screen of the user, and then those of the next user.
  neighbour(step) {
    const order = this.screensOf.flat();
    const at = order.indexOf(this.screen.number) + step;
    if (at >= 0 && at < order.length) this.open(order[at]);
  }

  // -- time ---------------------------------------------------------------------------------------------------------

  seek(time) {
    this.time = Math.min(Math.max(time, 0), this.screen.length);
    this.byHand.clear();
    this.draw();
  }

  play() {
    if (this.playing) return;
    if (this.time >= this.screen.length) this.time = 0;
    this.playing = true;
    this.byHand.clear();
    this.before = performance.now();
    this.button();
    requestAnimationFrame(() => this.frame());
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    this.button();
    this.draw();
    this.say(this.describe());
  }

  frame() {
    if (!this.playing) return;
    const now = performance.now();
    // A tab that slept does not jump ahead.
    const passed = Math.min(now - this.before, 250) * Number(this.parts.speed.value);
    this.before = now;
    this.time = Math.min(this.time + passed, this.screen.length);
    this.draw();
    if (this.time >= this.screen.length) this.pause();
    else requestAnimationFrame(() => this.frame());
  }

  button() {
    this.parts.play.setAttribute("aria-label", this.playing ? "Pause" : "Play");
    this.parts.play.classList.toggle("playing", this.playing);
    this.parts.play.querySelector("span").textContent = this.playing ? "Pause" : "Play";
    [this.parts.row, this.parts.back, this.parts.forward].forEach((control) => {
      control.disabled = this.playing;
    });
  }

  // To the begin of the look after this one, or of the one before.
  step(by) {
    this.pause();
    const { gaze } = this.screen;
    const at = lastBegun(gaze, this.time + 0.5);
    const next = by > 0 ? at + 1 : at - 1;
    if (next >= gaze.length) this.seek(this.screen.length);
    else this.seek(next < 0 ? 0 : gaze[next].start);
    this.say(this.describe());
  }

  // -- swiping by hand ----------------------------------------------------------------------------------------------

  pages() {
    const pages = pagesAt(this.study, this.screen, this.time);
    this.byHand.forEach((page, row) => {
      pages[row] = page;
    });
    return pages;
  }

  swipe(row, by) {
    if (this.playing || this.study.pages < 2) return;
    const page = (this.pages()[row] + by + this.study.pages) % this.study.pages;
    this.byHand.set(row, page);
    this.choose(row);
    this.say(`Carousel ${row + 1}, page ${page + 1} of ${this.study.pages}.`);
  }

  choose(row) {
    this.chosenRow = Math.min(Math.max(row, 0), this.study.rows - 1);
    this.parts.row.value = this.chosenRow;
    this.draw();
  }

  // -- showing ------------------------------------------------------------------------------------------------------

  view() {
    const { parts, study } = this;
    const width = parts.page.clientWidth;
    const scale = width / study.layout.width;
    const frame = windowOf(study);
    const whole = parts.whole.checked;
    const begin = whole ? frame.top : frame.top + scrollAt(this.screen, this.time, STILL.matches);
    const show = { gaze: parts.gaze.checked, trail: parts.trail.checked, cursor: parts.cursor.checked };
    return {
      study,
      screen: this.screen,
      theme: this.theme,
      time: this.time,
      paused: !this.playing,
      chosenRow: this.chosenRow,
      still: STILL.matches,
      pages: this.pages(),
      width,
      height: Math.round((whole ? study.layout.height - frame.top : frame.height) * scale),
      scale,
      scroll: begin,
      show,
    };
  }

  // Which numbers lie over the posters, and how they are read.
  overlay(dwell) {
    const { study, screen } = this;
    const kinds = {
      exam: [study.exam, percent],
      click: [screen.click, percent],
      all: [study.all, percent],
      dwell: [dwell, (value) => (value > 0 ? `${value.toFixed(1)} s` : "")],
    };
    const [values, say] = kinds[this.parts.overlay.value] || [null];
    return values ? { values, say, most: mostOf(values) } : null;
  }

  draw() {
    if (!this.screen) return;
    const { parts, study, screen } = this;
    const view = this.view();
    if (!view.width) return;
    const looks = looksUntil(study, screen, this.time);
    view.overlay = this.overlay(looks.dwell);
    drawPage(contextOf(parts.page, view.width, view.height), view);
    const wide = parts.timeline.clientWidth;
    drawTimeline(contextOf(parts.timeline, wide, 72), view, wide, 72);
    this.drawGrids(view, looks);
    this.drawWords(looks);
  }

  drawGrids(view, looks) {
    const { parts, study, screen } = this;
    const wide = parts.seen.clientWidth;
    const high = Math.round((wide * study.rows * 0.62) / study.columns);
    drawGrid(contextOf(parts.seen, wide, high), view, looks.dwell, mostOf(looks.dwell), wide, high);
    parts.seen.setAttribute("aria-label", `Map of the posters looked at: ${looks.number} of ${study.cells}`);
    if (!study.model) return;
    const clicks = parts.overlay.value === "click" || !study.exam;
    const values = clicks ? screen.click : study.exam;
    if (!values) return;
    drawGrid(contextOf(parts.expected, wide, high), view, values, mostOf(values), wide, high);
    parts.modelkind.textContent = clicks ? "click probability" : "examination";
    parts.expected.setAttribute("aria-label", `Map of the model's ${parts.modelkind.textContent}, largest ${percent(mostOf(values))}`);
  }

  drawWords(looks) {
    const { parts, study, screen } = this;
    parts.slider.value = Math.round(this.time);
    parts.clock.textContent = `${seconds(this.time)} / ${seconds(screen.length)} s`;
    parts.slider.setAttribute("aria-valuetext", `${seconds(this.time)} of ${seconds(screen.length)} seconds`);
    parts.now.textContent = this.describe();
    parts.seencount.textContent = `${looks.number} of ${study.cells} posters looked at so far`;
    parts.modeltext.textContent = this.modelWords();
    const page = this.pages()[this.chosenRow];
    parts.pagenumber.textContent = `page ${page + 1} of ${study.pages}`;
  }

  describe() {
    const { screen, study } = this;
    if (this.time >= screen.length) return this.ending();
    const at = lastBegun(screen.gaze, this.time);
    if (at < 0) return "Before the first look.";
    const visit = screen.gaze[at];
    const where = areaName(study, screen, visit);
    return this.time > visit.end ? `Between looks, after ${where}.` : `Look ${at + 1} of ${screen.gaze.length}: ${where}, ${seconds(visit.duration)} s.`;
  }

  ending() {
    const { screen, study } = this;
    if (screen.raw.s < 0) return "The end. The final click of this screen is missing from the data.";
    const chosen = areaName(study, screen, areaOf(study, screen.raw.s));
    return `The end. Selected: ${chosen}${screen.raw.x ? ", not the film that was searched for" : ""}.`;
  }

  // What the model said of the poster that was selected, and of the one looked at now.
  modelWords() {
    const { screen, study } = this;
    if (!study.model) return "";
    const words = [];
    const visit = screen.gaze[lastBegun(screen.gaze, this.time)];
    const about = (cell) =>
      [study.exam && `looked at ${percent(study.exam[cell])}`, screen.click && `clicked ${percent(screen.click[cell])}`].filter(Boolean).join(", ");
    if (visit && visit.kind === "poster" && this.time < screen.length) words.push(`This poster: ${about(visit.code)}.`);
    if (screen.raw.s >= 0 && this.time >= screen.selectedAt) {
      words.push(`Selected poster: ${about(screen.raw.s)}`);
      if (screen.click) words.push(`(place ${1 + screen.click.filter((p) => p > screen.click[screen.raw.s]).length} of ${study.cells}).`);
    } else if (study.exam) {
      words.push(`Expected to be looked at in all: ${study.exam.reduce((sum, p) => sum + (p || 0), 0).toFixed(0)} posters.`);
    }
    return words.join(" ");
  }

  say(words) {
    this.parts.say.textContent = words;
  }

  // -- listening ----------------------------------------------------------------------------------------------------

  listen() {
    const { parts } = this;
    const on = (part, event, act) => parts[part].addEventListener(event, act);
    on("play", "click", () => (this.playing ? this.pause() : this.play()));
    on("stepback", "click", () => this.step(-1));
    on("stepon", "click", () => this.step(1));
    on("last", "click", () => this.neighbour(-1));
    on("next", "click", () => this.neighbour(1));
    on("user", "change", () => this.open(this.screensOf[Number(parts.user.value)][0]));
    on("task", "change", () => this.open(Number(parts.task.value)));
    on("slider", "input", () => {
      this.pause();
      this.seek(Number(parts.slider.value));
    });
    on("slider", "change", () => this.say(this.describe()));
    on("row", "change", () => this.choose(Number(parts.row.value)));
    on("back", "click", () => this.swipe(this.chosenRow, -1));
    on("forward", "click", () => this.swipe(this.chosenRow, 1));
    ["overlay", "gaze", "trail", "cursor", "whole"].forEach((part) => on(part, "change", () => this.draw()));
    on("page", "click", (event) => this.press(event));
    on("timeline", "click", (event) => {
      this.pause();
      this.seek((event.offsetX / parts.timeline.clientWidth) * this.screen.length);
    });
    // Alone on its page the viewer takes every key; inside a report only those pressed in it.
    const target = this.root.hasAttribute("data-alone") ? document : this.root;
    target.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.root);
    DARK.addEventListener("change", () => {
      this.theme = themeOf(this.root);
      this.draw();
    });
  }

  press(event) {
    const view = this.view();
    for (let row = 0; row < this.study.rows; row += 1) {
      for (const [kind, by] of [["backward arrow", -1], ["forward arrow", 1]]) {
        const at = middle(this.study, { row, kind, column: -1 });
        const away = Math.hypot(at.x * view.scale - event.offsetX, (at.y - view.scroll) * view.scale - event.offsetY);
        if (away < 22) {
          this.swipe(row, by);
          return;
        }
      }
    }
  }

  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || this.keepsKey(event)) return;
    const acts = {
      " ": () => (this.playing ? this.pause() : this.play()),
      ArrowRight: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      ArrowDown: () => this.choose(this.chosenRow + 1),
      ArrowUp: () => this.choose(this.chosenRow - 1),
      ",": () => this.swipe(this.chosenRow, -1),
      ".": () => this.swipe(this.chosenRow, 1),
      Home: () => this.jump(0),
      End: () => this.jump(this.screen.length),
      "[": () => this.neighbour(-1),
      "]": () => this.neighbour(1),
    };
    const digit = /^[0-9]$/.test(event.key) ? (Number(event.key) + 9) % 10 : -1;
    const screens = this.screensOf[this.screen.raw.u];
    const act = digit >= 0 ? screens[digit] !== undefined && (() => this.open(screens[digit])) : acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  jump(time) {
    this.pause();
    this.seek(time);
    this.say(this.describe());
  }

  // Controls keep the keys that they have a use for themselves.
  keepsKey({ target, key }) {
    if (target.tagName === "SELECT") return true;
    // A millisecond is no step that anyone wants: arrows on the slider go from look to look, as anywhere else.
    if (target.type === "range") return key.startsWith("Page");
    return ["BUTTON", "INPUT", "SUMMARY", "A"].includes(target.tagName) && key === " ";
  }
}

function mostOf(values) {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  return most || 1;
}

document.querySelectorAll(".recgaze-viewer").forEach((root) => new Viewer(root));
