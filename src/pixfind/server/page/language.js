/**
 * The language of the page, chosen before the first paint. A classic script, as modules run too late for that.
 *
 * Owns the attributes `lang` and `dir` of <html>, and where a choice is remembered. Texts are in messages.LANGUAGE.json.
 */
(() => {
  const KEY = "pixfind-language";
  /** @type {Record<string, string>} languages of the page, and how they call themselves; the first is for everybody else */
  const NAMES = { en: "English", de: "Deutsch", fr: "Français" };
  const RIGHT_TO_LEFT = ["ar", "fa", "he", "ur"];
  const root = document.documentElement;

  const remembered = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is forbidden in some private windows
    }
  };
  const ofBrowser = () => navigator.languages.map((each) => each.toLowerCase().split("-")[0]).find((each) => each in NAMES) ?? Object.keys(NAMES)[0];
  const wanted = remembered();
  const language = wanted !== null && wanted in NAMES ? wanted : ofBrowser();
  root.lang = language;
  root.dir = RIGHT_TO_LEFT.includes(language) ? "rtl" : "ltr";

  const early = document.createElement("link");
  Object.assign(early, { rel: "preload", as: "fetch", crossOrigin: "anonymous", href: `/static/messages.${language}.json` });
  document.head.append(early);

  addEventListener("DOMContentLoaded", () => {
    const menu = /** @type {HTMLSelectElement} */ (document.getElementById("language"));
    for (const [code, name] of Object.entries(NAMES)) {
      const option = new Option(name, code, code === language, code === language);
      option.lang = code;
      menu.append(option);
    }
    menu.addEventListener("change", () => {
      try {
        // What the browser says anyway is not remembered: a later change of the browser counts again.
        if (menu.value === ofBrowser()) localStorage.removeItem(KEY);
        else localStorage.setItem(KEY, menu.value);
      } catch {
        return; // without storage the browser's language stays
      }
      location.reload();
    });
  });
})();
