"use strict";
// The page's own behaviour: the language, the tables, what appears over a mark, downloads.
//
// yoyakPage.replace(html, language)  puts another content in place and announces it
// yoyakPage.data(id)                 the value of a json_block, null without it
// yoyakPage.unpack(id)               a promise of the text of a packed_block
// yoyakPage.save(name, type, text)   hands a file to the reader
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

  async function speak(language) {
    if (language === document.documentElement.lang) return;
    replace(await page.content(language), language);
    find("[data-language]")[0]?.focus({ preventScroll: true });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-language]");
    if (button) speak(button.dataset.language);
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

  const page = { announce, content, data, find, replace, save, unpack };
  return page;
})();
