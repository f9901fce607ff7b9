"use strict";
// The try-it page: examples, KakaoTalk exports, and summaries as they are written.
(() => {
  const { $, element, said, say, request, post, reason } = yoyakForm;
  let place = 0, asking = null, exported = "";

  // --- examples ---

  async function example() {
    const topic = $("topic");
    if (!topic.selectedIndex) return;
    const address = `/api/examples?topic=${encodeURIComponent(topic.value)}&place=${place}`;
    try {
      const found = await (await request(address)).json();
      $("dialogue").value = found.dialogue;
      $("reference").value = found.references[0] ?? "";
      const { id, place: at, of } = found;
      $("example").replaceChildren(said("try-example-at", { id, place: at + 1, of }));
      $("next").disabled = found.of < 2;
      $("days").hidden = $("chat-note").hidden = true;
    } catch (error) {
      say(reason(error));
    }
  }
  $("topic").addEventListener("change", () => { place = 0; example(); });
  $("next").addEventListener("click", () => { place += 1; example(); });

  // --- KakaoTalk ---

  async function chat(day) {
    try {
      const body = { text: exported, mask: $("mask").checked, ...(day ? { day } : {}) };
      const found = await (await post("/api/kakaotalk", body)).json();
      say();
      $("dialogue").value = found.dialogue;
      $("reference").value = $("example").textContent = "";
      $("chat-note").replaceChildren(said("try-chat-read", {
        turns: found.dialogue.split("\n").length,
        speakers: Object.keys(found.speakers).length,
        left_out: found.left_out,
      }));
      const masked = Object.entries(found.masked).map(([tag, count]) => `${tag} ${count}`).join(", ");
      if (masked) $("chat-note").append(" ", said("try-chat-masked", { masked }));
      $("chat-note").hidden = false;
      const days = Object.entries(found.days).reverse();
      $("day").replaceChildren(...days.map(([one, count]) => {
        const option = said("try-chat-day", { day: one, count }, "option");
        option.value = one;
        option.selected = one === found.day;
        return option;
      }));
      $("days").hidden = days.length < 2;
      return true;
    } catch (error) {
      say(reason(error));
      return false;
    }
  }

  async function decoded(file) {
    const bytes = await file.arrayBuffer();
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return new TextDecoder("euc-kr").decode(bytes); // older versions on Windows
    }
  }

  $("chat").addEventListener("change", async () => {
    const [file] = $("chat").files;
    if (!file) return;
    exported = await decoded(file);
    chat();
  });
  $("day").addEventListener("change", () => chat($("day").value));
  $("mask").addEventListener("change", () => { if (!$("chat-note").hidden) chat($("day").value); });
  // The lines of an export begin with a time; anything else is pasted as it is.
  const EXPORT = /^(?:\ufeff?Date,User,Message|\[.+?\] \[.*?\d{1,2}:\d{2}.*?\] |(?:\d{4}[-.년 ]+\d{1,2}[-.월 ]+\d{1,2}[.일]*|[A-Z][a-z]+ \d{1,2}, \d{4}(?:,| at)?)\s.*?\d{1,2}:\d{2}.*?, .+? : )/m;
  $("dialogue").addEventListener("paste", (event) => {
    const pasted = event.clipboardData.getData("text/plain");
    if (!EXPORT.test(pasted)) return;
    event.preventDefault();
    exported = pasted;
    chat();
  });

  // --- decoding ---

  $("decode").addEventListener("change", () => {
    for (const one of document.querySelectorAll("[data-kind]")) {
      one.hidden = one.dataset.kind !== $("decode").value;
    }
  });

  function decoding() {
    const kind = $("decode").value;
    if (kind === "beam") return { kind, num_beams: $("num_beams").valueAsNumber };
    if (kind === "sample") {
      return { kind, temperature: $("temperature").valueAsNumber, seed: $("seed").valueAsNumber };
    }
    return kind ? { kind } : null;
  }

  // --- summaries ---

  function card(run, label) {
    const article = element("article");
    article.append(element("h3", label), element("p", "", "text"), element("p", said("try-loading"), "quiet"));
    article.lastChild.setAttribute("role", "status");
    article.dataset.run = run;
    return article;
  }

  function put(line, cards) {
    const article = cards.get(line.run);
    const [, text, note] = article.children;
    if (!("seconds" in line)) {
      text.textContent = line.text;
      note.replaceChildren(said("try-writing"));
      return;
    }
    if (line.problem) {
      note.textContent = line.problem;
      note.className = "problem";
      return;
    }
    const pieces = line.diff ?? [];
    if (pieces.length) {
      text.replaceChildren(...pieces.flatMap(([kind, words]) => [
        kind === "same" ? document.createTextNode(words)
          : element(kind === "added" ? "ins" : "del", words, kind),
        document.createTextNode(" "),
      ]));
    } else {
      text.textContent = line.text;
    }
    note.replaceChildren(said("try-took", { seconds: line.seconds.toFixed(1), tokens: line.tokens }));
    if (line.rouge) {
      const { rouge1, rouge2, rougeL } = line.rouge;
      const shown = { rouge1, rouge2, rougeL, mean: (rouge1 + rouge2 + rougeL) / 3 };
      for (const name of Object.keys(shown)) shown[name] = (100 * shown[name]).toFixed(2);
      article.append(element("p", said("try-rouge", shown), "quiet"));
      article.append(element("p", said("try-diff-legend"), "quiet"));
    }
  }

  async function summarise() {
    const chosen = [...document.querySelectorAll("[name=system]:checked")];
    if (!chosen.length) return;
    say();
    const cards = new Map(chosen.map((one) => [
      one.value, card(one.value, one.parentElement.firstChild.nextSibling.textContent.trim()),
    ]));
    $("answers").replaceChildren(...cards.values());
    $("results").hidden = false;
    asking = new AbortController();
    $("go").disabled = true;
    $("stop").hidden = false;
    try {
      const decode = decoding();
      const body = {
        dialogue: $("dialogue").value, reference: $("reference").value, stream: true,
        systems: chosen.map((one) => one.value), ...(decode ? { decode } : {}),
      };
      const answer = await post("/api/try", body, { signal: asking.signal });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const one of lines.map((line) => JSON.parse(line))) {
          if (one.error) throw new Error(one.error);
          put(one, cards);
        }
      }
    } catch (error) {
      if (error.name !== "AbortError") {
        say(reason(error));
        $("results").hidden = true;
      }
    } finally {
      $("go").disabled = false;
      $("stop").hidden = true;
    }
  }
  $("form").addEventListener("submit", (event) => { event.preventDefault(); summarise(); });
  $("stop").addEventListener("click", () => asking?.abort());
  $("dialogue").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) summarise();
  });
})();
