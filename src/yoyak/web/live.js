"use strict";
// Fetches the page anew every second and puts it in place when something has happened.
let version = null;
const gone = () => document.getElementById("stale");

async function look() {
  try {
    const headers = version ? { "If-None-Match": version } : {};
    const answer = await fetch("/part", { headers, cache: "no-store" });
    if (answer.status === 200) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (version !== null) put(page.getElementById("live"));
      version = answer.headers.get("ETag");
    } else if (answer.status !== 304) {
      throw new Error(String(answer.status));
    }
    gone().hidden = true;
  } catch {
    gone().hidden = false;
  }
  setTimeout(look, 1000);
}

function put(fresh) {
  yoyakPage.replace(fresh.innerHTML);
}

look();
