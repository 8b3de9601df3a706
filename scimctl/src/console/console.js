// Shows the buttons that copy, and copies. Everything else works without this file.
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    let answer = "Copied";
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      answer = "Not copied";
    }
    button.textContent = answer;
    announce(answer);
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

// Searches while the operator types: fetches the page that the form would show, and takes its list.
for (const form of document.querySelectorAll("form[data-live]")) {
  const list = () => document.getElementById(form.dataset.live);
  let timer;
  let running;
  const search = async () => {
    running?.abort();
    running = new AbortController();
    const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
    try {
      const response = await fetch(address, { signal: running.signal });
      const found = new DOMParser().parseFromString(await response.text(), "text/html").getElementById(form.dataset.live);
      if (!response.ok || !found) return;
      list().replaceWith(found);
      history.replaceState(null, "", address);
      announce(found.querySelector("[role=status]").textContent);
    } catch {
      // A newer search aborted this one, or the console has ended. The button still sends the form.
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, 250);
  });
}

// Screen readers read what appears in this element.
function announce(text) {
  let live = document.getElementById("live");
  if (!live) {
    live = document.createElement("p");
    live.id = "live";
    live.className = "hidden";
    live.setAttribute("role", "status");
    document.body.append(live);
  }
  live.textContent = text;
}

// Browsers give the focus to only one element when a page loads, and not every browser to a summary of errors.
document.querySelector(".summary")?.focus();

// Previews settings while the operator types: sends the form as the button does, and takes the preview from the page of the answer.
for (const button of document.querySelectorAll("button[data-preview]")) {
  const form = button.form;
  const present = document.getElementById(button.dataset.preview);
  let timer;
  let running;
  const preview = async () => {
    running?.abort();
    running = new AbortController();
    const body = new URLSearchParams(new FormData(form));
    body.append(button.name, button.value);
    try {
      const response = await fetch(form.action, { method: "POST", body, signal: running.signal });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const summary = page.querySelector(".summary");
      const found = page.getElementById(button.dataset.preview);
      if (!summary && !found) return;
      present.replaceChildren(...(summary ? [summary] : found.childNodes));
      announce(summary ? "The form has errors" : "The preview has changed");
    } catch {
      // A newer preview aborted this one, or the console has ended. The button still sends the form.
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(preview, 500);
  });
}
