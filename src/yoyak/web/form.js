"use strict";
// What the pages with forms share: their texts, elements, and JSON requests.
const yoyakForm = (() => {
  const $ = (id) => document.getElementById(id);
  const texts = JSON.parse($("texts").textContent);
  const fill = (key, values) => texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "–");

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function say(message) {
    $("problem").textContent = message ?? "";
    $("problem").hidden = !message;
  }

  // As fetch; a refusal throws its reason, with the status.
  async function request(url, options) {
    const answer = await fetch(url, options);
    if (answer.ok) return answer;
    const error = new Error((await answer.json()).error);
    error.status = answer.status;
    throw error;
  }

  function post(url, body, { headers, signal } = {}) {
    const json = { "Content-Type": "application/json", ...headers };
    return request(url, { method: "POST", headers: json, body: JSON.stringify(body), signal });
  }

  const reason = (error) => (error instanceof TypeError ? texts["try-lost"] : error.message);

  return { $, texts, fill, element, say, request, post, reason };
})();
