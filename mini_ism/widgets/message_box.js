/**
 * A box to type a message into: Enter sends it and empties the box at once, Shift+Enter begins a new line.
 *
 * Python is told by message, not through a trait: while Python is busy, traits are held back and messages are not, so a
 * click on a button would overtake the text it is about.
 */

export default {
  /** The text is the model's, so that all views of it show the same. */
  initialize({ model }) {
    model.set("text", model.get("told"));
    model.on("msg:custom", ({ was, now }) => {
      const text = model.get("text");
      const since = text.startsWith(was) ? text.slice(was.length) : text; // typed since Python was told: it stays
      model.set("text", now.trim() && since.trim() ? `${now}\n${since}` : now + since);
    });
  },

  render({ model, el }) {
    const box = document.createElement("textarea");
    Object.assign(box, { className: "mi-message", rows: 2, placeholder: model.get("placeholder") });
    box.setAttribute("aria-label", model.get("label"));
    box.dataset.lmSuppressShortcuts = "true"; // or Shift+Enter would run JupyterLab's cell
    el.append(box);
    const show = () => {
      if (box.value !== model.get("text")) box.value = model.get("text"); // which moves the cursor to the end
      box.style.height = "auto";
      box.style.height = `${box.offsetHeight - box.clientHeight + box.scrollHeight}px`;
    };
    box.addEventListener("input", () => model.set("text", box.value));
    box.addEventListener("blur", () => model.send({ typed: box.value }));
    box.addEventListener("keydown", (event) => {
      event.stopPropagation(); // letters are no shortcuts
      // An input method's Enter takes a suggestion; Safari says so by the key code alone.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      if (event.repeat) return; // held down: what follows is no empty message
      model.send({ entered: box.value });
      model.set("text", "");
    });
    model.on("change:text", show);
    show();
    return () => model.off("change:text", show);
  },
};
