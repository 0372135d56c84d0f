// The API reference: search, copy buttons, and the part that an address names. Its content needs no script.

const MIN = 2;

/** Shows only the links whose operation has every word of a query; all of them without one. */
function filter(list, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const isOn = query.trim().length >= MIN;
  let count = 0;
  for (const part of list.children) {
    const links = [...part.querySelectorAll("a[data-find]")];
    let shown = 0;
    for (const link of links) {
      const text = `${link.dataset.find} ${link.textContent}`.toLowerCase();
      const fits = !isOn || words.every((word) => text.includes(word));
      link.parentElement.hidden = !fits;
      if (fits) shown += 1;
    }
    const details = part.querySelector("details");
    part.hidden = isOn && !shown;
    if (details) {
      details.open = isOn ? shown > 0 : Boolean(part.querySelector("[aria-current]"));
    }
    count += shown;
  }
  return isOn ? count : null;
}

function startSearch() {
  const box = document.querySelector(".search");
  const input = box.querySelector("input");
  const status = box.querySelector("[role=status]");
  const contents = document.querySelector(".contents");
  const list = contents.querySelector(".pages");
  box.hidden = false;
  input.addEventListener("input", () => {
    const count = filter(list, input.value);
    if (count !== null) contents.open = true;
    status.textContent = count === null ? "" : `${count} ${count === 1 ? "operation" : "operations"}`;
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
    event.preventDefault();
    input.focus();
  });
}

function addCopyButtons() {
  for (const block of document.querySelectorAll(".code")) {
    const pre = block.querySelector("pre");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${pre.getAttribute("aria-label")}`);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(pre.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    block.prepend(button);
  }
}

// On a phone the contents would be in front of every page.
function foldContents() {
  if (matchMedia("(max-width: 899px)").matches) document.querySelector(".contents").open = false;
}

startSearch();
addCopyButtons();
foldContents();
