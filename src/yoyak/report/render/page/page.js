"use strict";
// The page's own behaviour: the language, the tables, what appears over a mark, downloads.
//
// yoyakPage.replace(html, language)  puts another content in place and announces it
// yoyakPage.data(id)                 the value of a json_block, null without it
// yoyakPage.unpack(id)               a promise of the text of a packed_block
// yoyakPage.save(name, type, text)   hands a file to the reader
// yoyakPage.csv(rows)                the rows as a table for spreadsheets
// yoyakPage.content(language)        a promise of the content in a language
//
// The document gets "yoyak:content" when the page is there and after every replacement; links to
// rows are followed by the explorer's own listener of "hashchange".
const yoyakPage = (() => {
  const find = (selector, root = document) => [...root.querySelectorAll(selector)];

  function data(id) {
    const block = document.getElementById(id);
    return block ? JSON.parse(block.textContent) : null;
  }

  async function unpack(id) {
    const packed = document.getElementById(id).textContent;
    const bytes = Uint8Array.from(atob(packed), (one) => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Response(stream).text();
  }

  function save(name, type, content) {
    const address = URL.createObjectURL(new Blob([content], { type }));
    const link = document.createElement("a");
    link.href = address;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 1000);
  }

  // UTF-8 with a byte order mark; words that a spreadsheet would compute get an apostrophe (OWASP).
  function csv(rows) {
    const cell = (value) => {
      const text = String(value ?? "");
      const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
      return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    return `\ufeff${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
  }

  const announce = () => {
    const detail = { language: document.documentElement.lang };
    document.dispatchEvent(new CustomEvent("yoyak:content", { detail }));
  };

  // What the reader has opened stays open, and the place on the page stays the same.
  function replace(html, language = document.documentElement.lang) {
    const live = document.getElementById("live");
    const open = find("details[open]", live).map((one) => one.dataset.id);
    const [left, top] = [window.scrollX, window.scrollY];
    document.documentElement.lang = language;
    live.innerHTML = html;
    for (const one of find("details[data-id]", live)) one.open = open.includes(one.dataset.id);
    const heading = live.querySelector("h1");
    if (heading) document.title = heading.textContent;
    announce();
    window.scrollTo(left, top);
  }

  // --- language

  const contents = new Map();

  async function setLanguage(language) {
    if (language === document.documentElement.lang) return;
    replace(await page.content(language), language);
    find("[data-language]")[0]?.focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-language]");
    if (button) setLanguage(button.dataset.language);
  });

  document.addEventListener("DOMContentLoaded", () => {
    contents.set(document.documentElement.lang, document.getElementById("live").innerHTML);
    announce();
  });

  // The content in a language; a live page puts a function in its place that asks the server.
  async function content(language) {
    if (!contents.has(language)) contents.set(language, await unpack(`content-${language}`));
    return contents.get(language);
  }

  // --- tables of systems: what is sorted and chosen stays when the content is another

  const columns = new Map(); // whether each column is shown, once the reader has chosen
  let order = null; // [column, direction]

  function sortRows(table) {
    const [column, direction] = order;
    const body = table.querySelector("tbody");
    const value = (row) => row.querySelector(`[data-column="${column}"]`).dataset.value;
    const compare = (one, other) => {
      const [mine, theirs] = [value(one), value(other)];
      if (mine === undefined || theirs === undefined) return (mine === undefined) - (theirs === undefined);
      const [a, b] = [Number(mine), Number(theirs)];
      const numeric = !Number.isNaN(a) && !Number.isNaN(b);
      return direction * (numeric ? a - b : mine.localeCompare(theirs, undefined, { numeric: true }));
    };
    body.append(...find("tr", body).sort(compare));
    for (const head of find("thead th", table)) {
      head.removeAttribute("aria-sort");
      if (head.dataset.column === column) head.setAttribute("aria-sort", direction < 0 ? "descending" : "ascending");
    }
  }

  function dress() {
    for (const table of find(".systems")) if (order) sortRows(table);
    for (const [column, shown] of columns) {
      for (const cell of find(`.systems [data-column="${column}"]`)) cell.hidden = !shown;
      for (const box of find(`.choose [data-column="${column}"]`)) box.checked = shown;
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest(".systems [data-sort]");
    if (!button) return;
    const head = button.closest("th");
    const falls = head.classList.contains("number") ? head.getAttribute("aria-sort") !== "descending" : head.getAttribute("aria-sort") === "ascending";
    order = [button.dataset.sort, falls ? -1 : 1];
    dress();
  });
  document.addEventListener("change", (event) => {
    const { column } = event.target.dataset;
    if (column === undefined) return;
    columns.set(column, event.target.checked);
    dress();
  });
  document.addEventListener("yoyak:content", dress);

  // --- what appears over a mark: a head, and rows of [colour, name, value]

  const tip = {
    owner: null,
    show(owner, x, y, head, rows = []) {
      const box = document.getElementById("tip");
      const made = (tag, text, colour) => {
        const element = document.createElement(tag);
        element.textContent = text;
        if (colour) element.style.background = colour;
        return element;
      };
      box.replaceChildren(made("b", head));
      for (const [colour, name, value] of rows) {
        const line = document.createElement("div");
        const swatch = made("span", "", colour);
        swatch.className = "swatch";
        line.append(swatch, made("span", name), made("strong", value));
        box.append(line);
      }
      tip.owner = owner;
      box.hidden = false;
      const { width, height } = box.getBoundingClientRect();
      const left = x + 14 + width > window.innerWidth ? x - 14 - width : x + 14;
      box.style.left = `${Math.max(4, left)}px`;
      box.style.top = `${Math.max(4, Math.min(y + 12, window.innerHeight - height - 4))}px`;
    },
    hide() {
      tip.owner = null;
      document.getElementById("tip").hidden = true;
    },
  };

  function over(event) {
    const mark = event.target.closest?.("[data-tip]");
    if (mark) {
      const at = mark.getBoundingClientRect();
      tip.show(mark, event.clientX ?? at.left, event.clientY ?? at.bottom, mark.dataset.tip);
    } else if (tip.owner instanceof Element) tip.hide();
  }
  document.addEventListener("pointerover", over);
  document.addEventListener("focusin", over);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tip.hide();
  });

  const page = { announce, content, csv, data, find, replace, save, tip, unpack };
  return page;
})();
