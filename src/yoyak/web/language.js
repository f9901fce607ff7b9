"use strict";
// Remembers the language that the reader chooses, for the next page of this server.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-language]");
  if (!button) return;
  document.cookie = `yoyak-language=${button.dataset.language}; path=/; max-age=31536000; samesite=strict`;
});
