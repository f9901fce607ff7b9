"use strict";
// The steering page: signs in with the terminal's token, then shows and starts commands.
(() => {
  const { $, fill, element, said, say, reason } = yoyakForm;
  const KEY = "yoyak-key";
  let settings = [], planning = null, polling = null, previewed = null;

  async function post(url, body = {}, signal) {
    const key = localStorage.getItem(KEY);
    const headers = key ? { "X-Yoyak-Key": key } : {};
    return (await yoyakForm.post(url, body, { headers, signal })).json();
  }

  function failed(error) {
    if (error.name === "AbortError") return;
    say(reason(error));
    if (error.status === 401 && !$("signed-in").hidden) show(false);
  }

  const guarded = (work) => (...given) => work(...given).catch(failed);
  const on = (id, kind, work) => $(id).addEventListener(kind, guarded(work));

  // --- signing in ---

  function show(isSignedIn) {
    $("sign-in").hidden = isSignedIn;
    $("signed-in").hidden = !isSignedIn;
    if (!isSignedIn) $("token").focus();
  }

  async function signIn(token) {
    localStorage.removeItem(KEY);
    const { key } = await post("/api/session", { token });
    localStorage.setItem(KEY, key);
    await enter();
  }

  async function enter() {
    await Promise.all([runs(), commands()]);
    say();
    show(true);
    guarded(recipe)(); // signed in, whatever the recipe says
  }

  $("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    guarded(signIn)($("token").value);
    $("token").value = "";
  });

  // --- runs ---

  async function runs() {
    const found = await post("/api/runs");
    $("runs").replaceChildren(...found.map((one) => {
      const row = element("tr");
      const name = element("td", one.recipe);
      name.append(element("div", one.run, "quiet"));
      const actions = element("td");
      for (const kind of one.actions) {
        const button = element("button", fill(`steer-${kind}`), kind === "stop" ? "danger" : "");
        button.type = "button";
        button.setAttribute("aria-label", `${button.textContent}: ${one.run}`);
        button.addEventListener("click", guarded(() => start({ type: kind, run: one.run })));
        actions.append(button, " ");
      }
      const progress = element("td", one.steps ? `${one.step}/${one.steps}` : "–", "number");
      row.append(name, element("td", one.label), progress, actions);
      return row;
    }));
    $("stop-all").disabled = !found.some((one) => one.actions.includes("stop"));
  }
  on("stop-all", "click", () => start({ type: "stop" }));

  // --- a recipe ---

  const shown = (value) => (value === null ? fill("steer-none")
    : value === true ? fill("steer-yes") : value === false ? fill("steer-no") : String(value));

  function range(one) {
    const low = one.low === null ? "" : `${one.low_is_excluded ? ">" : "≥"} ${one.low}`;
    const high = one.high === null ? "" : `${one.high_is_excluded ? "<" : "≤"} ${one.high}`;
    return [low, high].filter(Boolean).join(", ");
  }

  function field(one) {
    const sentence = (key) => said(key, {}, "option");
    const options = one.kind === "choice" ? one.choices.map((each) => [each, element("option", each)])
      : one.kind === "yes-no" ? [["true", sentence("steer-yes")], ["false", sentence("steer-no")]] : null;
    const text = one.value === null ? "" : typeof one.value === "object" ? JSON.stringify(one.value) : String(one.value);
    if (options) {
      if (one.is_optional) options.unshift(["", sentence("steer-none")]);
      const select = element("select");
      for (const [value, option] of options) {
        option.value = value;
        select.append(option);
      }
      select.value = text;
      return select;
    }
    const input = element("input");
    input.value = text;
    if (one.kind === "integer" || one.kind === "number") {
      input.inputMode = one.kind === "integer" ? "numeric" : "decimal";
    }
    return input;
  }

  function settingRow(one) {
    const row = element("div", undefined, "setting");
    const label = element("label", one.name.slice(one.section.length + 1));
    const input = field(one);
    input.id = label.htmlFor = `set-${one.name}`;
    const about = element("p", undefined, "quiet");
    about.id = `about-${one.name}`;
    input.setAttribute("aria-describedby", about.id);
    one.original = input.value;
    Object.assign(one, { input, about, row });
    describe(one);
    row.append(label, input, about);
    return row;
  }

  function describe(one) {
    const facts = [
      one.kind === "other" ? "JSON" : "", range(one),
      fill("steer-default", { value: shown(one.default) }),
      one.origin === "default" ? "" : fill("steer-origin", { origin: one.origin }),
    ].filter(Boolean).join(" · ");
    one.about.replaceChildren(one.meaning, element("br"), facts);
    if (one.is_optional && one.input.tagName === "INPUT") one.input.placeholder = fill("steer-none");
  }

  // The same settings in the language of the page; what was typed stays.
  async function describeAgain() {
    const found = await post("/api/recipe", { recipe: $("recipe").value });
    const meanings = new Map(found.settings.map((one) => [one.name, one.meaning]));
    for (const one of settings) {
      one.meaning = meanings.get(one.name) ?? one.meaning;
      describe(one);
    }
  }

  async function recipe() {
    const wanted = $("recipe").value;
    const found = await post("/api/recipe", { recipe: wanted });
    if (wanted !== $("recipe").value) return; // another was chosen meanwhile
    settings = found.settings;
    const groups = new Map();
    for (const one of settings) {
      if (!groups.has(one.section)) groups.set(one.section, []);
      groups.get(one.section).push(one);
    }
    $("settings").replaceChildren(...[...groups].map(([section, members]) => {
      const details = element("details");
      const isOff = members.every((one) => one.value === null && one.is_optional);
      const title = element("summary", section);
      if (isOff) title.append(" (", said("steer-off"), ")");
      details.append(title, ...members.map(settingRow));
      details.open = section === "train";
      return details;
    }));
    $("others").value = $("find").value = "";
    await plan();
  }

  // TOML of a value, as after --set; text is quoted only where it would not stay text.
  function toml(one) {
    const value = one.input.value.trim();
    if (value === "" && one.is_optional) return "none";
    return one.kind === "text" ? JSON.stringify(one.input.value) : value;
  }

  function sets() {
    const changed = settings.filter((one) => one.input.value !== one.original);
    const others = $("others").value.split("\n").map((line) => line.trim()).filter(Boolean);
    return [...changed.map((one) => `${one.name}=${toml(one)}`), ...others];
  }

  const gigabytes = (value) => (value === null ? "–" : `${value.toFixed(1)} GB`);

  function figure(id, text, note) {
    $(id).replaceChildren(text);
    if (note) $(id).append(element("small", note));
  }

  function list(id, lines) {
    $(id).replaceChildren(...lines.map((line) => element("li", line)));
    $(id).hidden = !lines.length;
  }

  async function plan() {
    for (const one of settings) one.row.classList.toggle("changed", one.input.value !== one.original);
    planning?.abort();
    planning = new AbortController();
    const body = { recipe: $("recipe").value, sets: sets(), gpu: $("gpu").value };
    const found = await post("/api/plan", body, planning.signal);
    $("command").textContent = found.command;
    const minutes = (one) => (one >= 10 ? one.toFixed(0) : one.toFixed(1));
    figure("figure-time", found.low_minutes === null ? "–"
      : fill("steer-minutes", { low: minutes(found.low_minutes), high: minutes(found.high_minutes) }),
      found.steps === null ? "" : fill("steer-steps", { steps: found.steps, rows: found.rows }));
    const ofGpu = found.gpu === null ? "" : fill("steer-of-gpu", { gpu: found.gpu, size: gigabytes(found.gpu_gb) });
    figure("figure-training", gigabytes(found.training_gb), ofGpu);
    figure("figure-generation", gigabytes(found.generation_gb), ofGpu);
    figure("figure-disk", gigabytes(found.disk_gb), fill("steer-free", { free: gigabytes(found.disk_free_gb) }));
    list("refusals", found.problem ? [found.problem] : found.refusals);
    list("notes", found.notes);
    $("start").disabled = Boolean(found.problem);
  }

  let typing = 0;
  function typed() {
    clearTimeout(typing);
    typing = setTimeout(guarded(plan), 250);
  }
  $("settings").addEventListener("input", typed);
  $("others").addEventListener("input", typed);
  on("gpu", "change", plan);
  on("recipe", "change", recipe);
  $("find").addEventListener("input", () => {
    const wanted = $("find").value.toLowerCase();
    for (const one of settings) {
      one.row.hidden = !`${one.name} ${one.meaning}`.toLowerCase().includes(wanted);
    }
    for (const group of $("settings").children) {
      const isEmpty = ![...group.querySelectorAll(".setting")].some((row) => !row.hidden);
      group.hidden = isEmpty;
      if (wanted) group.open = !isEmpty;
    }
  });
  on("start", "click", async () => {
    await start({ type: "start", recipe: $("recipe").value, sets: sets() });
  });
  on("copy", "click", async () => {
    await navigator.clipboard.writeText($("command").textContent);
    $("copied").textContent = fill("steer-copied");
    setTimeout(() => { $("copied").textContent = ""; }, 2000);
  });

  // --- submit and prune ---

  const submitted = () => [...$("submit-systems").querySelectorAll("input:checked")].map((one) => one.value);

  async function checklist() {
    const chosen = submitted();
    const found = await post("/api/checklist");
    const marks = { ok: "✔", watch: "!", bad: "✖" };
    $("checklist").replaceChildren(...found.checklist.map((one) => element(
      "li", `${marks[one.level]} ${one.text}`, { ok: "good", watch: "", bad: "problem" }[one.level],
    )));
    $("submit-systems").replaceChildren(...found.systems.map((one) => {
      const label = element("label", undefined, "plain");
      const box = element("input");
      box.type = "checkbox";
      box.value = one;
      box.checked = chosen.includes(one);
      label.append(box, ` ${one}`);
      return label;
    }));
    $("submit-form").hidden = !found.systems.length;
  }
  on("check", "click", checklist);
  on("submit", "click", () => start({ type: "submit", systems: submitted() }));
  on("preview", "click", () => start({ type: "prune", preview: true, hub: $("hub").checked }));
  on("prune", "click", () => start({ type: "prune", preview: false, hub: $("hub").checked }));
  $("hub").addEventListener("change", () => { $("prune").disabled = true; });

  // --- commands ---

  async function start(action) {
    say();
    const found = await post("/api/commands/start", { action });
    if (action.type === "prune") {
      $("prune").disabled = true; // until the preview of what is there then has ended
      previewed = action.preview ? found.id : null;
    }
    await commands();
    $("commands").scrollIntoView({ block: "nearest" });
  }

  async function commands() {
    const found = await post("/api/commands");
    const open = new Set([...$("commands").querySelectorAll("details:not([open])")].map((one) => one.dataset.id));
    $("commands").replaceChildren(...found.map((one, at) => {
      const details = element("details");
      details.dataset.id = one.id;
      details.open = at === 0 && !open.has(String(one.id));
      const state = one.code === null ? fill("steer-running")
        : one.code === 0 ? fill("steer-ended") : fill("steer-failed", { code: one.code });
      const summary = element("summary", `${one.command} — ${state}`);
      const output = element("pre", one.output);
      output.tabIndex = 0;
      details.append(summary, output);
      return details;
    }));
    const preview = found.find((one) => one.id === previewed);
    if (preview && preview.code === 0) {
      previewed = null;
      $("prune").disabled = false;
    }
    clearTimeout(polling);
    const isRunning = found.some((one) => one.code === null);
    if (isRunning) polling = setTimeout(guarded(async () => { await commands(); await runs(); }), 1500);
    else if (found.length) await runs();
  }

  document.addEventListener("yoyak:language", () => {
    if ($("signed-in").hidden) return;
    const checked = $("checklist").children.length ? [checklist] : [];
    for (const work of [runs, commands, describeAgain, plan, ...checked]) guarded(work)();
  });

  const given = location.hash.slice(1);
  if (given) {
    history.replaceState(null, "", location.pathname); // the token stays in no history
    signIn(given).catch((error) => { failed(error); show(false); });
  } else if (localStorage.getItem(KEY)) {
    enter().catch((error) => { if (error.status !== 401) failed(error); show(false); });
  } else {
    show(false);
  }
})();
