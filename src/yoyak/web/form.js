"use strict";
// What the pages with forms share: their texts, elements, and JSON requests.
//
// A sentence that "said" made, or the server with a data-text, changes with the language of the
// page. Then the document gets "yoyak:language", for what the server has to say again.
const yoyakForm = (() => {
  const $ = (id) => document.getElementById(id);
  const texts = JSON.parse($("texts").textContent);
  const root = document.documentElement;
  const fill = (key, values = {}) => texts[root.lang][key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "–");

  function element(name, content, className) {
    const made = document.createElement(name);
    if (content !== undefined) made.append(content);
    if (className) made.className = className;
    return made;
  }

  function said(key, values = {}, name = "span") {
    const made = element(name, fill(key, values));
    made.dataset.text = key;
    made.dataset.values = JSON.stringify(values);
    return made;
  }

  function say(message) {
    $("problem").textContent = message ?? "";
    $("problem").hidden = !message;
  }

  // As fetch; a refusal throws its reason, with the status.
  async function request(url, options) {
    const address = new URL(url, location);
    address.searchParams.set("lang", root.lang);
    const answer = await fetch(address, options);
    if (answer.ok) return answer;
    const error = new Error((await answer.json()).error);
    error.status = answer.status;
    throw error;
  }

  function post(url, body, { headers, signal } = {}) {
    const json = { "Content-Type": "application/json", ...headers };
    return request(url, { method: "POST", headers: json, body: JSON.stringify(body), signal });
  }

  const reason = (error) => (error instanceof TypeError ? fill("try-lost") : error.message);

  function speak(language) {
    root.lang = language;
    for (const one of document.querySelectorAll("[data-text]")) {
      one.textContent = fill(one.dataset.text, JSON.parse(one.dataset.values ?? "{}"));
    }
    for (const one of document.querySelectorAll("[data-label]")) {
      one.setAttribute("aria-label", fill(one.dataset.label));
    }
    document.title = document.querySelector("h1").textContent;
    for (const one of document.querySelectorAll("[data-language]")) {
      one.hidden = one.dataset.language === language;
      if (!one.hidden) one.focus();
    }
    document.dispatchEvent(new Event("yoyak:language"));
  }
  for (const one of document.querySelectorAll("[data-language]")) {
    one.addEventListener("click", () => speak(one.dataset.language));
  }

  return { $, fill, element, said, say, request, post, reason };
})();
