/**
 * The live line to the server: its status, at once and whenever it changes.
 *
 * Owns the event stream and its reconnecting. It is closed while nobody sees the page: a browser opens only six
 * connections to a server, for all its tabs together.
 */

const FIRST_MS = 1000;
const LONGEST_MS = 10_000;

/**
 * @param {{status: (status: any) => void, gone: (gone: boolean) => void}} handlers
 */
export function connect(handlers) {
  /** @type {EventSource | null} */
  let stream = null;
  let wait = FIRST_MS;
  let timer = 0;

  const open = () => {
    close();
    stream = new EventSource("/api/events");
    stream.addEventListener("open", () => {
      wait = FIRST_MS;
      handlers.gone(false);
    });
    stream.addEventListener("status", (event) => handlers.status(JSON.parse(event.data)));
    stream.addEventListener("error", () => {
      // The browser's own reconnecting gives up for good on some answers; ours does not.
      close();
      handlers.gone(true);
      timer = setTimeout(open, wait);
      wait = Math.min(2 * wait, LONGEST_MS);
    });
  };
  const close = () => {
    clearTimeout(timer);
    stream?.close();
    stream = null;
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  if (!document.hidden) open();
}
