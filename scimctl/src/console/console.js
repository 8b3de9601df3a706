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
