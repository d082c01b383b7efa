/**
 * The field for an input image: pick, drop or paste it, look at it, remove it.
 * @module
 */

import { toast } from "./announcer.js";
import { byId, el, icon, iconButton, setText } from "./dom.js";
import { bytesWords } from "./words.js";

const KINDS = ["image/png", "image/jpeg", "image/webp"];
const LARGEST = 20 * 2 ** 20;

export class Picture {
  /** @type {File|null} */
  file = null;
  #address = "";
  #input = byId("image-input");
  #box = byId("image-box");
  #complain;

  /** @param {(words: string) => void} complain @param {HTMLElement} target what it can be dropped on */
  constructor(complain, target) {
    this.#complain = complain;
    byId("image-pick").addEventListener("click", () => this.#input.click());
    this.#input.addEventListener("change", () => {
      this.#take([...this.#input.files]);
      this.#input.value = "";
    });
    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      // Office programs add a picture of the words that are copied.
      const areWords = event.clipboardData?.getData("text/plain") && /** @type {Element} */ (event.target).closest("textarea, input");
      if (files.length === 0 || areWords) return;
      event.preventDefault();
      this.#take(files);
    });
    // If a file is dropped beside the target, the browser would replace the page.
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
    let depth = 0; // how many nested elements the pointer is over
    const over = (/** @type {number} */ change) => target.classList.toggle("dropping", (depth = Math.max(depth + change, 0)) > 0);
    target.addEventListener("dragenter", () => over(1));
    target.addEventListener("dragleave", () => over(-1));
    target.addEventListener("drop", (event) => {
      over(-depth);
      this.#take([...(event.dataTransfer?.files ?? [])]);
    });
  }

  clear() {
    URL.revokeObjectURL(this.#address);
    this.file = null;
    this.#box.replaceChildren();
    this.#box.hidden = true;
    byId("image-pick").hidden = false;
    this.#complain("");
  }

  /** @param {File} file */
  take(file) {
    this.#take([file]);
  }

  /** @param {File[]} files */
  #take(files) {
    if (byId("image-field").hidden) return toast("This model takes no first image. Nothing was added.", "bad");
    const file = files.find((each) => KINDS.includes(each.type));
    if (!file) return this.#complain(files.length ? "This is no PNG, JPEG or WebP image. Nothing was sent. Pick another file." : "");
    if (file.size > LARGEST) return this.#complain(`This image has ${bytesWords(file.size)}; at most 20 MB are taken. Nothing was sent. Save it smaller, and pick it again.`);
    this.clear();
    this.file = file;
    this.#address = URL.createObjectURL(file);
    const facts = el("span", { class: "quiet", text: bytesWords(file.size) });
    const image = el("img", { src: this.#address, alt: "" });
    image.addEventListener("load", () => setText(facts, `${image.naturalWidth} × ${image.naturalHeight} · ${bytesWords(file.size)}`));
    image.addEventListener("error", () => {
      this.clear();
      this.#complain("This image can’t be read: the file may be broken. Nothing was sent. Pick another file.");
    });
    const remove = iconButton("close", "Remove the image", () => {
      this.clear();
      byId("image-pick").focus();
    });
    this.#box.replaceChildren(image, el("div", { class: "image-words" }, el("span", { class: "image-name", text: file.name || "Pasted image" }), facts), remove);
    this.#box.hidden = false;
    byId("image-pick").hidden = true;
  }
}
