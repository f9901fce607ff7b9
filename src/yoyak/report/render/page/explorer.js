"use strict";
// The row explorer: one table of rows, filtered, sorted and read in pairs of systems.
//
// Rows come as arrays (report/render/explorer.py): from compressed blocks of this file, or page by
// page from the server. Everything that a model or a person wrote is set as text, never as markup.
(() => {
  const host = document.getElementById("explorer");
  if (host === null) return;
  const config = yoyakPage.data("explorer-config");

  // --- text ------------------------------------------------------------------------------------

  const say = (key, fields = {}) => {
    const texts = config.texts[document.documentElement.lang] ?? config.texts[config.language];
    return texts[key].replace(/\{(\w+)\}/g, (_, name) => fields[name]);
  };

  const INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ";
  const SYLLABLES_PER_INITIAL = 588;

  // A pattern for one search word in lower case: an initial consonant (ㅎ) also stands for every
  // syllable that begins with it (회, 한, …), so ㅎㅇ finds 회의.
  function pattern(word) {
    let source = "";
    for (const letter of word) {
      const place = INITIALS.indexOf(letter);
      if (place < 0) {
        source += letter.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
      } else {
        const first = 0xac00 + place * SYLLABLES_PER_INITIAL;
        const last = first + SYLLABLES_PER_INITIAL - 1;
        source += `[${letter}${String.fromCharCode(first)}-${String.fromCharCode(last)}]`;
      }
    }
    return source;
  }

  const wordsOf = (query) => query.normalize("NFC").toLowerCase().split(/\s+/).filter(Boolean);

  // One test per word of a query; a text matches when all do.
  function matchers(query) {
    return wordsOf(query).map((word) => {
      if (![...word].some((letter) => INITIALS.includes(letter))) return (text) => text.includes(word);
      const wanted = new RegExp(pattern(word));
      return (text) => wanted.test(text);
    });
  }

  const MOST_WORDS = 1500; // of each text in a diff; the rest of a longer one is not compared

  // The longest common subsequence of words as runs [kind, text]: "same", "reference" for what only
  // the reference has, "answer" for what only the answer has.
  function diff(reference, answer) {
    const theirs = reference.split(/\s+/).filter(Boolean).slice(0, MOST_WORDS);
    const ours = answer.split(/\s+/).filter(Boolean).slice(0, MOST_WORDS);
    const width = ours.length + 1;
    const common = new Uint16Array((theirs.length + 1) * width);
    for (let i = theirs.length - 1; i >= 0; i--) {
      for (let j = ours.length - 1; j >= 0; j--) {
        common[i * width + j] = theirs[i] === ours[j]
          ? common[(i + 1) * width + j + 1] + 1
          : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
      }
    }
    const runs = [];
    const put = (kind, word) => {
      const last = runs[runs.length - 1];
      if (last !== undefined && last[0] === kind) last[1] += ` ${word}`;
      else runs.push([kind, word]);
    };
    let i = 0;
    let j = 0;
    while (i < theirs.length || j < ours.length) {
      if (i < theirs.length && j < ours.length && theirs[i] === ours[j]) {
        put("same", ours[j]);
        i += 1;
        j += 1;
      } else if (
        i < theirs.length
        && (j === ours.length || common[(i + 1) * width + j] >= common[i * width + j + 1])
      ) {
        put("reference", theirs[i++]);
      } else {
        put("answer", ours[j++]);
      }
    }
    return runs;
  }

  const points = (value) => (Number.isNaN(value) ? "–" : value.toFixed(2));
  const signed = (value) => (Number.isNaN(value) ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`);

  function h(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  // --- rows ------------------------------------------------------------------------------------

  const [ID, TOPIC, TURNS, SPEAKERS, APART, DIALOGUE, REFERENCES, ANSWERS] = [0, 1, 2, 3, 4, 5, 6, 7];
  const [TEXT, ROUGE, MARKS] = [0, 1, 2];
  const SCORE_UNIT = 1000; // scores are stored in thousandths of a point of 0–100

  // The columns of one table; typed arrays keep filters and sorting of 12,457 rows below a frame.
  class Table {
    constructor(head) {
      this.head = head;
      this.rows = new Array(head.rows);
      this.loaded = 0;
      this.places = new Map();
      const numbers = () => new Float64Array(head.rows).fill(NaN);
      this.turns = numbers();
      this.speakers = numbers();
      this.chars = numbers();
      this.apart = numbers();
      this.means = head.systems.map(numbers);
      this.lengths = head.systems.map(numbers);
      this.faults = head.systems.map(() => new Uint32Array(head.rows));
      this.haystacks = new Array(head.rows);
    }

    get isScored() {
      return this.head.references > 0;
    }

    add(rows) {
      for (const row of rows) {
        const at = this.loaded++;
        this.rows[at] = row;
        this.places.set(row[ID], at);
        this.turns[at] = row[TURNS];
        this.speakers[at] = row[SPEAKERS];
        this.chars[at] = row[DIALOGUE].length;
        if (row[APART] !== null) this.apart[at] = row[APART] / 10;
        row[ANSWERS].forEach((answer, system) => {
          if (answer === null) return;
          const [first, second, longest] = answer[ROUGE] ?? [NaN, NaN, NaN];
          this.means[system][at] = (first + second + longest) / 3 / SCORE_UNIT;
          this.lengths[system][at] = answer[TEXT].length;
          for (let mark = 0; mark < answer[MARKS].length; mark += 3) {
            this.faults[system][at] |= 1 << answer[MARKS][mark];
          }
        });
      }
    }

    haystack(at) {
      const known = this.haystacks[at];
      if (known !== undefined) return known;
      const row = this.rows[at];
      const answers = row[ANSWERS].map((answer) => (answer === null ? "" : answer[TEXT]));
      const all = [row[ID], row[TOPIC] ?? "", row[DIALOGUE], ...row[REFERENCES], ...answers];
      return (this.haystacks[at] = all.join("\n").toLowerCase());
    }

    // Prepares the search while nobody waits, so that its first letter is as quick as the others.
    async prepareSearch() {
      for (let at = 0; at < this.loaded; at += 200) {
        await new Promise((done) => (window.requestIdleCallback ?? setTimeout)(done));
        for (let one = at; one < Math.min(at + 200, this.loaded); one++) this.haystack(one);
      }
    }

    faultsOf(at, systems) {
      return systems.reduce((all, system) => all | this.faults[system][at], 0);
    }
  }

  const tables = new Map();

  async function fetched(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
    return answer.json();
  }

  async function load(head, onPage) {
    const known = tables.get(head.key);
    if (known !== undefined) return known;
    const table = new Table(head);
    tables.set(head.key, table);
    try {
      if (!config.live) table.add(JSON.parse(await yoyakPage.unpack(`rows-${head.key}`)));
      while (config.live && table.loaded < head.rows) {
        const address = `/api/rows/${encodeURIComponent(head.key)}?start=${table.loaded}`;
        const rows = await fetched(address);
        if (rows.length === 0) break;
        table.add(rows);
        onPage(table);
      }
    } catch (error) {
      if (tables.get(head.key) === table) tables.delete(head.key);
      throw error;
    }
    table.prepareSearch();
    return table;
  }

  // --- state, which is also the address -----------------------------------------------------------

  const EMPTY = {
    t: "", q: "", fault: "", of: "any", topic: "", speakers: "", turns: "", chars: "", length: "",
    score: "", difference: "", disagreement: "", a: "", b: "", sort: "", row: "",
  };
  const RANGES = ["turns", "chars", "length", "score", "difference", "disagreement"];
  const ADDRESS = "#rows?";
  let state = { ...EMPTY };
  let table = null;
  let shown = new Int32Array(0); // places of the rows that pass the filters, in order
  let selected = -1; // position in `shown`

  function fromAddress() {
    if (!location.hash.startsWith(ADDRESS)) return false;
    const asked = new URLSearchParams(location.hash.slice(ADDRESS.length));
    state = { ...EMPTY };
    for (const key of Object.keys(EMPTY)) state[key] = asked.get(key) ?? EMPTY[key];
    return true;
  }

  function address() {
    const changed = Object.entries(state).filter(([key, value]) => value !== EMPTY[key]);
    return ADDRESS + new URLSearchParams(changed);
  }

  // "5..12", "5..", "..12", "5-12" or "5" as two numbers; null when neither end is one.
  function range(written) {
    const plain = /^(\d+)(?:[-–](\d+))?$/.exec(written);
    if (plain !== null) return [Number(plain[1]), Number(plain[2] ?? plain[1])];
    const [low, high] = written.split("..").map((end) => (end.trim() === "" ? NaN : Number(end)));
    if (Number.isNaN(low) && Number.isNaN(high ?? NaN)) return null;
    return [Number.isNaN(low) ? -Infinity : low, Number.isNaN(high ?? NaN) ? Infinity : high];
  }

  const heads = () => config.tables;
  const wantedHead = () => heads().find((one) => one.key === state.t) ?? heads()[0];
  const systems = () => table.head.systems;
  const placeOf = (wanted) => systems().findIndex((one) => one.run === wanted || one.name === wanted);

  // The two systems: as asked for, else the best and the next by mean.
  function pair() {
    const byMean = systems().map((_, place) => place).sort((one, other) => (systems()[other].mean ?? 0) - (systems()[one].mean ?? 0));
    const a = placeOf(state.a) >= 0 ? placeOf(state.a) : byMean.find((place) => place !== placeOf(state.b)) ?? 0;
    const b = placeOf(state.b) >= 0 ? placeOf(state.b) : byMean.find((place) => place !== a) ?? a;
    return [a, b];
  }

  // --- filter and sort -----------------------------------------------------------------------------

  function inScope() {
    const [a, b] = pair();
    if (state.of === "a") return [a];
    if (state.of === "b") return [b];
    return systems().map((_, place) => place);
  }

  function tests() {
    const [a, b] = pair();
    const found = [];
    const numbers = {
      turns: (at) => table.turns[at],
      chars: (at) => table.chars[at],
      length: (at) => table.lengths[a][at],
      score: (at) => table.means[a][at],
      difference: (at) => table.means[a][at] - table.means[b][at],
      disagreement: (at) => table.apart[at],
    };
    for (const key of RANGES) {
      const limits = range(state[key]);
      if (limits !== null) found.push((at) => numbers[key](at) >= limits[0] && numbers[key](at) <= limits[1]);
    }
    if (state.speakers !== "") found.push((at) => table.speakers[at] === Number(state.speakers));
    if (state.topic !== "") {
      // The head noun of a topic, its last word, selects the rows of that slice and no others.
      const wanted = matchers(state.topic);
      const head = (at) => (table.rows[at][TOPIC] ?? "").split(" ").at(-1);
      const isHead = table.rows.some((_, at) => head(at) === state.topic);
      if (isHead) found.push((at) => head(at) === state.topic || table.rows[at][TOPIC] === state.topic);
      else found.push((at) => wanted.every((test) => test((table.rows[at][TOPIC] ?? "").toLowerCase())));
    }
    if (state.fault !== "") {
      const scope = inScope();
      const kind = config.faults.indexOf(state.fault);
      if (state.fault === "none") found.push((at) => table.faultsOf(at, scope) === 0);
      else if (state.fault === "some") found.push((at) => table.faultsOf(at, scope) !== 0);
      else found.push((at) => ((table.faultsOf(at, scope) >> kind) & 1) === 1);
    }
    for (const test of matchers(state.q)) found.push((at) => test(table.haystack(at)));
    return found;
  }

  function bits(number) {
    let count = 0;
    for (let rest = number; rest !== 0; rest &= rest - 1) count += 1;
    return count;
  }

  function sortKey(name) {
    const [a, b] = pair();
    const scope = inScope();
    const keys = {
      id: (at) => table.rows[at][ID],
      topic: (at) => table.rows[at][TOPIC] ?? "",
      turns: (at) => table.turns[at],
      speakers: (at) => table.speakers[at],
      chars: (at) => table.chars[at],
      faults: (at) => bits(table.faultsOf(at, scope)),
      disagreement: (at) => table.apart[at],
      difference: (at) => table.means[a][at] - table.means[b][at],
    };
    if (name in keys) return keys[name];
    const place = placeOf(name);
    if (place < 0) return null;
    return table.isScored ? (at) => table.means[place][at] : (at) => table.lengths[place][at];
  }

  function sorted(places) {
    const falls = state.sort.startsWith("-");
    const key = sortKey(falls ? state.sort.slice(1) : state.sort);
    if (key === null) return places;
    const keys = new Array(table.loaded);
    for (const at of places) keys[at] = key(at);
    const direction = falls ? -1 : 1;
    const order = new Intl.Collator(undefined, { numeric: true });
    return places.sort((one, other) => {
      const [mine, theirs] = [keys[one], keys[other]];
      if (typeof mine === "string") return direction * order.compare(mine, theirs) || one - other;
      if (Number.isNaN(mine) || Number.isNaN(theirs)) return Number.isNaN(mine) - Number.isNaN(theirs) || one - other;
      return direction * (mine - theirs) || one - other;
    });
  }

  function apply() {
    if (table === null) return;
    const wanted = tests();
    const passing = new Int32Array(table.loaded);
    let count = 0;
    for (let at = 0; at < table.loaded; at++) {
      if (wanted.every((test) => test(at))) passing[count++] = at;
    }
    shown = sorted(passing.slice(0, count));
    const place = table.places.get(state.row);
    selected = place === undefined ? -1 : shown.indexOf(place);
    if (selected < 0 && count > 0) selected = 0;
    state.row = selected < 0 ? state.row : table.rows[shown[selected]][ID];
    drawHead();
    drawList(true);
    drawDetail();
    drawStatus();
  }

  let addressTimer = 0;
  function remember() {
    clearTimeout(addressTimer);
    const before = location.hash;
    // Later, as browsers refuse more than about 200 changes in half a minute; and not over an
    // address that somebody has followed meanwhile.
    addressTimer = setTimeout(() => {
      if (location.hash === before) history.replaceState(null, "", address());
    }, 200);
  }

  function change(values) {
    Object.assign(state, values);
    apply();
    remember();
  }

  // --- the list: as many elements as fit the screen, whatever the number of rows ----------------------

  const ROW_HEIGHT = 30;
  const SPARE_ROWS = 6;
  const NARROW = 700;
  let parts = {};
  let pool = [];
  let columns = [];
  const TEXTS = ["id", "topic"]; // the columns that hold no numbers
  const alignment = (column) => (TEXTS.includes(column.key) ? null : "xp-number");

  function listed() {
    const found = [
      { key: "id", label: say("column-id"), width: 92, text: (at) => table.rows[at][ID] },
      { key: "topic", label: say("column-topic"), width: 150, text: (at) => table.rows[at][TOPIC] ?? "–" },
      { key: "turns", label: say("column-turns"), width: 68, text: (at) => table.turns[at] },
      { key: "speakers", label: say("column-speakers"), width: 84, text: (at) => table.speakers[at] },
      { key: "chars", label: say("column-chars"), width: 96, text: (at) => table.chars[at] },
    ];
    // A phone has no room for what the row itself says below.
    if (window.innerWidth < NARROW) found.splice(1);
    if (blind.on) return found;
    const scope = inScope();
    const [a, b] = pair();
    found.push({ key: "faults", label: say("column-faults"), width: 72, text: (at) => bits(table.faultsOf(at, scope)) });
    if (systems().length > 1) {
      found.push({ key: "disagreement", label: say("column-disagreement"), width: 112, text: (at) => (Number.isNaN(table.apart[at]) ? "–" : table.apart[at].toFixed(0)) });
      if (table.isScored) {
        found.push({ key: "difference", label: "A − B", width: 84, text: (at) => signed(table.means[a][at] - table.means[b][at]) });
      }
    }
    systems().forEach((one, place) => {
      const letter = place === a ? "A " : place === b ? "B " : "";
      const values = table.isScored ? table.means[place] : table.lengths[place];
      found.push({
        key: one.run,
        label: letter + one.name,
        width: 116,
        text: table.isScored ? (at) => points(values[at]) : (at) => (Number.isNaN(values[at]) ? "–" : String(values[at])),
      });
    });
    return found;
  }

  function drawHead() {
    columns = listed();
    const template = columns.map((one, place) => (place + 1 < columns.length ? `${one.width}px` : `minmax(${one.width}px, 1fr)`)).join(" ");
    const width = columns.reduce((sum, one) => sum + one.width, 0);
    parts.grid.style.setProperty("--columns", template);
    parts.grid.style.setProperty("--width", `${width}px`);
    parts.grid.setAttribute("aria-rowcount", shown.length + 1);
    parts.grid.setAttribute("aria-colcount", columns.length);
    const sortedBy = state.sort.replace(/^-/, "");
    parts.head.replaceChildren(...columns.map((one) => {
      const isSorted = one.key === sortedBy;
      const direction = state.sort.startsWith("-") ? "descending" : "ascending";
      const sign = !isSorted ? "" : direction === "descending" ? " ▼" : " ▲";
      return h("div", { role: "columnheader", class: alignment(one), "aria-sort": isSorted ? direction : "none" },
        h("button", { type: "button", title: one.label, tabindex: "-1", onclick: () => sortBy(one.key) }, one.label + sign));
    }));
    pool = [];
    parts.body.replaceChildren();
    parts.body.style.height = `${shown.length * ROW_HEIGHT}px`;
  }

  // First click: numbers from the highest, names from A; second: the other way; third: file order.
  function sortBy(key) {
    const first = TEXTS.includes(key) ? key : `-${key}`;
    const second = first.startsWith("-") ? key : `-${key}`;
    change({ sort: state.sort === first ? second : state.sort === second ? "" : first });
  }

  function drawList(isNew = false) {
    const height = parts.grid.clientHeight - ROW_HEIGHT;
    const top = parts.grid.scrollTop;
    const wanted = Math.min(shown.length, Math.ceil(height / ROW_HEIGHT) + 2 * SPARE_ROWS);
    while (pool.length < wanted) {
      const cells = columns.map((one, column) => h("div", { role: "gridcell", class: alignment(one), "aria-colindex": column + 1 }));
      const element = h("div", { role: "row", class: "xp-row" }, ...cells);
      parts.body.append(element);
      pool.push({ element, cells, position: -1 });
    }
    const first = Math.max(0, Math.min(Math.floor(top / ROW_HEIGHT) - SPARE_ROWS, shown.length - wanted));
    for (let position = first; position < first + wanted; position++) {
      const one = pool[position % pool.length];
      if (one.position !== position || isNew) {
        one.position = position;
        const at = shown[position];
        columns.forEach((column, place) => {
          one.cells[place].textContent = column.text(at);
        });
        one.element.id = `xp-row-${position}`;
        one.element.style.transform = `translateY(${position * ROW_HEIGHT}px)`;
        one.element.setAttribute("aria-rowindex", position + 2);
        one.element.classList.toggle("xp-noted", marked(at));
      }
      one.element.setAttribute("aria-selected", position === selected);
    }
    const visible = selected >= first && selected < first + wanted;
    if (visible) parts.grid.setAttribute("aria-activedescendant", `xp-row-${selected}`);
    else parts.grid.removeAttribute("aria-activedescendant");
  }

  function select(position, { follow = true } = {}) {
    if (shown.length === 0) return;
    selected = Math.max(0, Math.min(position, shown.length - 1));
    state.row = table.rows[shown[selected]][ID];
    if (follow) {
      const height = parts.grid.clientHeight - ROW_HEIGHT;
      const top = selected * ROW_HEIGHT;
      if (top < parts.grid.scrollTop) parts.grid.scrollTop = top;
      else if (top + ROW_HEIGHT > parts.grid.scrollTop + height) parts.grid.scrollTop = top + ROW_HEIGHT - height;
    }
    drawList();
    drawDetail();
    remember();
  }

  // --- the row ---------------------------------------------------------------------------------------

  const label = (kind) => say(`fault-${config.faults[kind]}`);

  function named(place) {
    const one = systems()[place];
    const mark = h("span", { class: "xp-swatch", "aria-hidden": "true" });
    mark.style.background = config.colours[one.name] ?? "currentColor";
    return [mark, one.name + (one.toy ? "*" : "")];
  }

  // A text in pieces: where marks overlap, one piece has the kinds of all of them.
  function pieces(text, marks) {
    if (text === "") return [h("em", { class: "quiet" }, say("empty"))];
    const cuts = new Set([0, text.length]);
    for (let mark = 0; mark < marks.length; mark += 3) {
      cuts.add(marks[mark + 1]);
      cuts.add(marks[mark + 2]);
    }
    const edges = [...cuts].sort((one, other) => one - other);
    const made = [];
    for (let edge = 0; edge + 1 < edges.length; edge++) {
      const [start, end] = [edges[edge], edges[edge + 1]];
      const kinds = [];
      for (let mark = 0; mark < marks.length; mark += 3) {
        if (marks[mark + 1] <= start && end <= marks[mark + 2]) kinds.push(marks[mark]);
      }
      const piece = text.slice(start, end);
      if (kinds.length === 0) made.push(piece);
      else {
        const isAbsent = kinds.some((kind) => config.absent.includes(config.faults[kind]));
        const title = [...new Set(kinds)].map(label).join(", ");
        made.push(h("mark", { class: isAbsent ? "xp-absent" : "xp-fault", title }, piece));
      }
    }
    return made;
  }

  function differences(reference, answer) {
    const elements = { same: "span", reference: "del", answer: "ins" };
    return diff(reference, answer).flatMap(([kind, text], place) => [
      place > 0 ? " " : null,
      h(elements[kind], {}, text),
    ]).filter((one) => one !== null);
  }

  function scores(answer, place, at) {
    if (answer === null || answer[ROUGE] === null) return null;
    const parts = answer[ROUGE].map((score) => (score / SCORE_UNIT).toFixed(2));
    return h("span", { class: "quiet" }, say("scores", { mean: points(table.means[place][at]), r1: parts[0], r2: parts[1], rl: parts[2] }));
  }

  function faultList(answer) {
    const kinds = [];
    for (let mark = 0; mark < (answer?.[MARKS].length ?? 0); mark += 3) kinds.push(answer[MARKS][mark]);
    const found = [...new Set(kinds)];
    if (found.length === 0) return null;
    return h("ul", { class: "xp-faults", "aria-label": say("faults") }, ...found.map((kind) => h("li", {}, label(kind))));
  }

  function panel(letter, place, at) {
    const answer = table.rows[at][ANSWERS][place];
    return h("div", { class: "xp-answer" },
      h("h4", {}, `${letter} `, ...named(place)),
      scores(answer, place, at),
      h("p", { class: "xp-text" }, ...(answer === null ? [h("em", { class: "quiet" }, say("no-answer"))] : pieces(answer[TEXT], answer[MARKS]))),
      faultList(answer));
  }

  function others(at, [a, b]) {
    const rest = systems().map((_, place) => place).filter((place) => place !== a && place !== b);
    if (rest.length === 0) return null;
    const choose = (place) => h("span", { class: "xp-choose" },
      h("button", { type: "button", onclick: () => change({ a: systems()[place].run }) }, say("as-a")),
      h("button", { type: "button", onclick: () => change({ b: systems()[place].run }) }, say("as-b")));
    const details = h("details", { open: opened.others, ontoggle: (event) => { opened.others = event.target.open; } },
      h("summary", {}, say("others", { count: rest.length })),
      h("div", { class: "xp-pair" }, ...rest.map((place) => {
        const one = panel("", place, at);
        one.append(choose(place));
        return one;
      })));
    return details;
  }

  const opened = { others: false, dialogue: true };

  function dialogue(row) {
    return h("details", { class: "xp-dialogue", open: opened.dialogue, ontoggle: (event) => { opened.dialogue = event.target.open; } },
      h("summary", {}, say("dialogue")),
      ...row[DIALOGUE].split("\n").map((turn) => h("p", { class: "turn" }, turn)));
  }

  function legend() {
    return h("p", { class: "xp-legend" },
      h("mark", { class: "xp-absent" }, say("legend-absent-word")), ` ${say("legend-absent")} · `,
      h("mark", { class: "xp-fault" }, say("legend-fault-word")), ` ${say("legend-fault")} · `,
      h("ins", {}, say("legend-answer-word")), ` ${say("legend-answer")} · `,
      h("del", {}, say("legend-reference-word")), ` ${say("legend-reference")}`);
  }

  function drawDetail() {
    const at = selected < 0 ? undefined : shown[selected];
    if (at === undefined) {
      parts.detail.replaceChildren(h("p", { class: "quiet" }, say("no-row")));
      return;
    }
    const row = table.rows[at];
    const head = h("h3", {}, row[ID], " ", h("span", { class: "quiet" }, [row[TOPIC], say("row-facts", { turns: row[TURNS], speakers: row[SPEAKERS], chars: row[DIALOGUE].length })].filter(Boolean).join(" · ")));
    if (blind.on) {
      parts.detail.replaceChildren(head, dialogue(row), ...blindPanels(row), noteField(row));
      return;
    }
    const [a, b] = pair();
    const two = a === b ? [["", a]] : [["A", a], ["B", b]];
    const references = row[REFERENCES].map((reference, number) => h("div", { class: "xp-reference" },
      h("h4", {}, say("reference", { number: number + 1 })),
      h("p", { class: "xp-text" }, reference),
      h("div", { class: "xp-pair" }, ...two.map(([letter, place]) => {
        const answer = row[ANSWERS][place];
        return h("p", { class: "xp-text xp-diff" }, h("b", {}, `${letter} `), ...(answer === null ? [] : differences(reference, answer[TEXT])));
      }))));
    parts.detail.replaceChildren(...[
      head,
      dialogue(row),
      h("div", { class: "xp-pair" }, ...two.map(([letter, place]) => panel(letter, place, at))),
      legend(),
      ...references,
      others(at, [a, b]),
      noteField(row),
    ].filter((one) => one !== null));
    highlight();
  }

  // Marks the search hits without touching the text, where the browser can.
  function highlight() {
    if (!("highlights" in CSS)) return;
    CSS.highlights.delete("explorer-hit");
    const words = wordsOf(state.q);
    if (words.length === 0) return;
    const wanted = new RegExp(words.map(pattern).join("|"), "gi");
    const hits = [];
    const written = (node) => (node.parentElement.closest(".xp-text, .turn, h3") ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_REJECT);
    const walker = document.createTreeWalker(parts.detail, NodeFilter.SHOW_TEXT, written);
    for (let node = walker.nextNode(); node !== null && hits.length < 500; node = walker.nextNode()) {
      for (const match of node.data.matchAll(wanted)) {
        const hit = new Range();
        hit.setStart(node, match.index);
        hit.setEnd(node, match.index + match[0].length);
        hits.push(hit);
      }
    }
    CSS.highlights.set("explorer-hit", new Highlight(...hits));
  }

  // --- notes and ratings: on the server, or in this browser ---------------------------------------------

  const STORE = "yoyak-ratings";
  const RATER = "yoyak-rater";
  let records = [];
  const blind = { on: false };

  function stored(key, otherwise) {
    try {
      return localStorage.getItem(key) ?? otherwise;
    } catch {
      return otherwise; // a browser that keeps nothing for files
    }
  }

  const rater = () => stored(RATER, "");

  async function loadRecords() {
    records = config.live ? await fetched("/api/ratings") : JSON.parse(stored(STORE, "[]"));
  }

  async function keep(record) {
    let whole = { ...record, table: table.head.key, rater: rater() || say("nobody") };
    try {
      if (config.live) {
        const answer = await fetch("/api/ratings", {
          method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(whole),
        });
        const kept = await answer.json();
        if (!answer.ok) throw new Error(kept.error);
        whole = kept;
      } else {
        whole.at = Date.now() / 1000;
        const known = JSON.parse(stored(STORE, "[]"));
        localStorage.setItem(STORE, JSON.stringify([...known, whole]));
      }
      records.push(whole);
      parts.saved.textContent = say(config.live ? "saved-server" : "saved-browser");
    } catch (error) {
      parts.saved.textContent = say("not-saved", { reason: error.message });
      return false;
    }
    drawList(true);
    return true;
  }

  const ofRow = (row) => records.filter((one) => one.table === table.head.key && one.row === row[ID]);
  const marked = (at) => ofRow(table.rows[at]).some((one) => one.kind === "rating" || one.text !== "");

  function noteField(row) {
    const notes = ofRow(row).filter((one) => one.kind === "note");
    const own = notes.filter((one) => one.rater === (rater() || say("nobody"))).at(-1)?.text ?? "";
    const latest = new Map(notes.map((one) => [one.rater, one.text]));
    latest.delete(rater() || say("nobody"));
    const field = h("textarea", {
      rows: "2", maxlength: "4000",
      onchange: (event) => keep({ kind: "note", row: row[ID], text: event.target.value }),
    });
    field.value = own;
    return h("div", { class: "xp-note" },
      h("label", {}, say("note"), field),
      ...(blind.on ? [] : [...latest].filter(([, text]) => text !== "").map(([who, text]) => h("p", { class: "quiet" }, `${who}: ${text}`))));
  }

  // Which of the two stands left: the same for one person and row, without a pattern over rows.
  function order(row) {
    const two = pair().map((place) => systems()[place].run).sort();
    let hash = 0x811c9dc5;
    for (const letter of [rater(), table.head.key, row[ID], ...two].join("\n")) {
      hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193) >>> 0;
    }
    hash ^= hash >>> 15;
    return (hash & 1) === 1 ? two : two.reverse();
  }

  const ratingOf = (row) => {
    const two = order(row);
    return ofRow(row).filter((one) => one.kind === "rating" && one.rater === rater() && two.includes(one.left) && two.includes(one.right)).at(-1);
  };

  function blindPanels(row) {
    const [left, right] = order(row).map(placeOf);
    const text = (place) => row[ANSWERS][place]?.[TEXT] ?? "";
    const known = ratingOf(row);
    const choice = (value, number) => h("button", {
      type: "button", "aria-pressed": String(known?.choice === value), onclick: () => rate(value),
    }, `${number} ${say(`choice-${value}`)}`);
    const done = table.rows.slice(0, table.loaded).filter((one) => ratingOf(one) !== undefined).length;
    return [
      h("div", { class: "xp-pair" },
        h("div", { class: "xp-answer" }, h("h4", {}, say("left")), h("p", { class: "xp-text" }, ...pieces(text(left), []))),
        h("div", { class: "xp-answer" }, h("h4", {}, say("right")), h("p", { class: "xp-text" }, ...pieces(text(right), [])))),
      h("div", { class: "xp-choices", role: "group", "aria-label": say("better") }, choice("left", 1), choice("right", 2), choice("tie", 3),
        h("span", { class: "quiet" }, say("rated", { done, count: table.loaded }))),
    ];
  }

  async function rate(choice) {
    if (selected < 0) return;
    const row = table.rows[shown[selected]];
    const [left, right] = order(row);
    if (!await keep({ kind: "rating", row: row[ID], left, right, choice })) return;
    const rest = [...shown.slice(selected + 1), ...shown.slice(0, selected)];
    const next = rest.find((at) => ratingOf(table.rows[at]) === undefined);
    if (next === undefined) drawDetail();
    else select(shown.indexOf(next));
  }

  async function drawVerdict() {
    parts.verdict.replaceChildren();
    if (!config.live || blind.on) return;
    const found = await fetched(`/api/ratings/summary?lang=${document.documentElement.lang}`);
    parts.verdict.replaceChildren(...found.map((sentence) => h("li", {}, sentence)));
  }

  function setBlind(on) {
    if (on && rater() === "") {
      parts.saved.textContent = say("name-first");
      parts.rater.focus();
      return;
    }
    blind.on = on;
    parts.blind.setAttribute("aria-pressed", on);
    host.classList.toggle("xp-blind", on);
    if (on) Object.assign(state, { sort: "", score: "", difference: "", fault: "", disagreement: "", length: "" });
    fillControls();
    apply();
    drawVerdict();
    parts.grid.focus();
  }

  // --- files to take away --------------------------------------------------------------------------------

  const download = (name, rows) => yoyakPage.save(name, "text/csv", yoyakPage.csv(rows));

  function downloadRows() {
    const names = systems().map((one) => one.name);
    const heads = ["id", "topic", "turns", "speakers", "characters", "disagreement", ...names.flatMap((name) => [name, `${name} mean`, `${name} faults`])];
    download(`${table.head.key}.csv`, [heads, ...[...shown].map((at) => {
      const row = table.rows[at];
      return [row[ID], row[TOPIC], row[TURNS], row[SPEAKERS], row[DIALOGUE].length, row[APART] === null ? "" : row[APART] / 1000,
        ...row[ANSWERS].flatMap((answer, place) => {
          if (answer === null) return ["", "", ""];
          const kinds = config.faults.filter((_, kind) => ((table.faults[place][at] >> kind) & 1) === 1);
          return [answer[TEXT], answer[ROUGE] === null ? "" : table.means[place][at].toFixed(3), kinds.join(" ")];
        })];
    })]);
  }

  function downloadRecords() {
    const names = ["at", "table", "row", "rater", "kind", "left", "right", "choice", "text"];
    download("ratings.csv", [names, ...records.map((one) => names.map((name) => (name === "at" ? new Date(one.at * 1000).toISOString() : one[name])))]);
  }

  // --- controls ---------------------------------------------------------------------------------------------

  function option(value, text) {
    return h("option", { value }, text);
  }

  function build() {
    const choose = (key, options, text) => {
      const element = h("select", { onchange: (event) => change({ [key]: event.target.value }) }, ...options);
      parts[key] = element;
      return h("label", {}, say(text), element);
    };
    const field = (key, text, attributes = {}) => {
      const element = h("input", { type: "search", autocomplete: "off", spellcheck: "false", ...attributes, oninput: (event) => change({ [key]: event.target.value }) });
      parts[key] = element;
      return h("label", {}, say(text), element);
    };
    const between = (key) => {
      const end = (which) => h("input", {
        type: "number", step: "any", "aria-label": `${say(`range-${key}`)}, ${say(which)}`, placeholder: say(which),
        oninput: () => {
          const [low, high] = parts[key].map((one) => one.value);
          change({ [key]: low === "" && high === "" ? "" : `${low}..${high}` });
        },
      });
      parts[key] = [end("at-least"), end("at-most")];
      return h("fieldset", {}, h("legend", {}, say(`range-${key}`)), ...parts[key]);
    };
    const button = (text, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, say(text));
    parts = { };
    parts.status = h("p", { class: "xp-status", role: "status" });
    parts.head = h("div", { role: "row", class: "xp-head", "aria-rowindex": "1" });
    parts.body = h("div", { role: "rowgroup", class: "xp-body" });
    parts.grid = h("div", { role: "grid", class: "xp-grid", tabindex: "0", "aria-label": say("grid"), "aria-describedby": "xp-keys" },
      h("div", { role: "rowgroup", class: "xp-headgroup" }, parts.head), parts.body);
    parts.grid.addEventListener("scroll", () => drawList(), { passive: true });
    parts.body.addEventListener("click", (event) => {
      const element = event.target.closest(".xp-row");
      const one = pool.find((each) => each.element === element);
      if (one !== undefined) select(one.position, { follow: false });
    });
    parts.detail = h("div", { class: "xp-detail", "aria-live": "off" });
    parts.topics = h("datalist", { id: "xp-topics" });
    parts.blind = button("blind", () => setBlind(!blind.on), { "aria-pressed": String(blind.on) });
    parts.saved = h("span", { role: "status", class: "quiet" });
    parts.verdict = h("ul", { class: "xp-verdict" });
    parts.rater = h("input", {
      maxlength: "40", autocomplete: "off", value: rater(),
      onchange: (event) => {
        try {
          localStorage.setItem(RATER, event.target.value.trim());
        } catch (error) {
          parts.saved.textContent = say("not-saved", { reason: error.message });
        }
        apply();
      },
    });
    const faults = [option("", say("fault-all")), option("some", say("fault-some")), option("none", say("fault-none")), ...config.faults.map((kind) => option(kind, say(`fault-${kind}`)))];
    const scope = [option("any", say("of-any")), option("a", "A"), option("b", "B")];
    const left = config.left_out.map((one) => h("p", { class: "xp-left-out" }, say("left-out", one)));
    host.replaceChildren(
      ...left,
      h("div", { class: "xp-bar" },
        choose("t", heads().map((one) => option(one.key, title(one))), "table"),
        field("q", "search", { placeholder: say("search-hint"), class: "xp-search" }),
        choose("a", [], "system-a"), choose("b", [], "system-b"),
        button("swap", () => { const [a, b] = pair(); change({ a: systems()[b].run, b: systems()[a].run }); })),
      h("details", { class: "xp-filters", open: window.innerWidth >= NARROW },
        h("summary", {}, say("filters")),
        h("div", { class: "xp-bar" },
          choose("fault", faults, "fault"), choose("of", scope, "fault-of"),
          field("topic", "topic", { list: "xp-topics" }), parts.topics,
          choose("speakers", [], "speakers"),
          ...RANGES.map(between),
          button("reset", () => { state = { ...EMPTY, t: state.t, a: state.a, b: state.b }; fillControls(); change({}); }))),
      parts.status,
      parts.grid,
      h("p", { class: "quiet xp-keys", id: "xp-keys" }, say("keys")),
      // Above the row, whose height changes: a button must not move away while it is pressed.
      h("div", { class: "xp-bar" },
        h("label", {}, say("rater"), parts.rater), parts.blind,
        button("download-rows", downloadRows), button("download-ratings", downloadRecords), parts.saved),
      parts.verdict,
      parts.detail);
  }

  const title = (head) => say("table-title", { data: head.data, split: head.split, rows: head.rows, systems: head.systems.length });

  function fillControls() {
    const [a, b] = pair();
    state.a = systems()[a].run;
    state.b = systems()[b].run;
    for (const key of ["a", "b"]) parts[key].replaceChildren(...systems().map((one, place) => option(one.run, place < 9 ? `${place + 1} ${one.name}` : one.name)));
    const counts = [...new Set(table.speakers.slice(0, table.loaded))].sort((one, other) => one - other);
    parts.speakers.replaceChildren(option("", say("any")), ...counts.map((count) => option(String(count), String(count))));
    const topics = [...new Set(table.rows.slice(0, table.loaded).map((row) => row[TOPIC]).filter(Boolean))];
    parts.topics.replaceChildren(...topics.sort().slice(0, 300).map((topic) => option(topic, "")));
    for (const key of ["t", "q", "fault", "of", "topic", "speakers", "a", "b"]) parts[key].value = state[key];
    parts.t.value = table.head.key;
    for (const key of RANGES) {
      const ends = range(state[key]) ?? [];
      parts[key].forEach((one, place) => { one.value = Number.isFinite(ends[place]) ? ends[place] : ""; });
      const isMeasured = key === "score" || key === "difference" ? table.isScored : true;
      parts[key][0].parentElement.hidden = !isMeasured;
    }
  }

  function drawStatus() {
    const fields = { shown: shown.length, count: table.head.rows };
    parts.status.textContent = table.loaded < table.head.rows ? say("loading", { loaded: table.loaded, count: table.head.rows }) : say("status", fields);
  }

  async function show() {
    const head = wantedHead();
    if (head === undefined) {
      host.replaceChildren(h("p", { class: "quiet" }, say("nothing")), ...config.left_out.map((one) => h("p", { class: "xp-left-out" }, say("left-out", one))));
      return;
    }
    if (!tables.has(head.key)) parts.status.textContent = say("loading", { loaded: 0, count: head.rows });
    // While rows were on their way, another table may be asked for, or this one anew.
    const place = (found) => {
      if (wantedHead() !== head || tables.get(head.key) !== found) return;
      table = found;
      fillControls();
      apply();
    };
    try {
      place(await load(head, place));
    } catch (error) {
      if (wantedHead() === head) parts.status.textContent = say("not-loaded", { reason: error.message });
      return;
    }
    if (selected >= 0) select(selected);
  }

  // --- keys ---------------------------------------------------------------------------------------------------

  // With a Hangul input method on, the letter is not in `key`: the physical key says which it was.
  function keyOf(event) {
    if (event.key.length === 1 && event.key.charCodeAt(0) < 128) return event.key.toLowerCase();
    const physical = /^(?:Key|Digit)(\w)$/.exec(event.code);
    if (event.code === "Slash") return "/";
    return event.key.length > 1 && event.key !== "Process" ? event.key : physical?.[1].toLowerCase() ?? event.key;
  }

  function onKey(event) {
    if (table === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "Escape" && typing) {
      parts.grid.focus();
      event.preventDefault();
      return;
    }
    if (typing || event.isComposing) return;
    const page = Math.max(1, Math.floor(parts.grid.clientHeight / ROW_HEIGHT) - 2);
    const inGrid = event.target === parts.grid;
    const moves = { j: 1, k: -1, ...(inGrid ? { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity } : {}) };
    const key = keyOf(event);
    const digit = /^Digit([1-9])$/.exec(event.code)?.[1] ?? (/^[1-9]$/.test(key) ? key : undefined);
    if (key in moves) select(selected + moves[key]);
    else if (key === "/") parts.q.focus();
    else if (key === "n") parts.detail.querySelector("textarea")?.focus();
    else if (digit !== undefined && blind.on) {
      if (digit <= 3) rate(["left", "right", "tie"][digit - 1]);
    } else if (digit !== undefined && digit <= systems().length) {
      change({ [event.shiftKey ? "b" : "a"]: systems()[digit - 1].run });
      fillControls();
    } else return;
    event.preventDefault();
  }

  // --- start ----------------------------------------------------------------------------------------------------

  let started = null; // the promise of the controls, null before and after an error
  const start = () => (started ??= begin());
  async function begin() {
    try {
      if (config.live) Object.assign(config, await fetched("/api/rows"));
      await loadRecords();
    } catch (error) {
      started = null;
      host.replaceChildren(h("p", { class: "quiet" }, say("not-loaded", { reason: error.message })));
      return;
    }
    build();
    drawVerdict();
  }

  async function open() {
    await start();
    if (started !== null) await show();
  }

  // On the live page: new predictions and scores of a run, when the content says that it changed.
  async function refresh() {
    if (started === null || !config.live) return;
    try {
      const found = await fetched("/api/rows");
      if (JSON.stringify(found.tables) === JSON.stringify(config.tables)) return;
      config.tables = found.tables;
    } catch {
      return; // the page says by itself that the server is gone
    }
    tables.clear();
    build();
    await show();
  }

  async function follow() {
    if (!fromAddress()) return;
    await open();
    host.closest("section").scrollIntoView(); // only now is the page long enough
    parts.grid?.focus({ preventScroll: true });
  }

  document.addEventListener("yoyak:content", refresh);
  host.addEventListener("keydown", onKey);
  host.addEventListener("change", (event) => { if (event.target === parts.t) show(); });
  window.addEventListener("hashchange", follow);
  new MutationObserver(() => {
    document.getElementById("rows").textContent = say("title"); // outside of what is replaced
    if (table === null) return;
    build();
    fillControls();
    apply();
    drawVerdict();
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["lang"] });
  if (location.hash.startsWith(ADDRESS)) follow();
  else {
    // Far below the first screen, nothing is read before somebody comes near.
    new IntersectionObserver((seen, observer) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      observer.disconnect();
      open();
    }, { rootMargin: "600px" }).observe(host);
  }

  window.explorer = Object.freeze({ diff, matchers, range, get shown() { return shown.length; } });
})();
