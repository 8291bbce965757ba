/**
 * The chosen theme, applied before the first paint. A classic script, as modules run too late for that.
 *
 * Owns the attribute `data-theme` of <html> ("light", "dark", or none: as the system says) and where it is remembered.
 */
(() => {
  const KEY = "pixfind-theme";
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage is forbidden in some private windows
    }
  };
  const apply = (/** @type {string | null} */ theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  };
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  apply(chosen());
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    button.addEventListener("click", () => {
      const next = isDark() ? "light" : "dark";
      // What the system says anyway is not remembered: a later change of the system counts again.
      const remembered = next === (system.matches ? "dark" : "light") ? null : next;
      apply(remembered);
      try {
        if (remembered) localStorage.setItem(KEY, remembered);
        else localStorage.removeItem(KEY);
      } catch {
        // It holds for this page all the same.
      }
    });
  });
})();
