/**
 * The event stream of the server: its status, at once and whenever it changes.
 *
 * Owns the event stream and its reconnecting. It is closed while the page is hidden: a browser opens only six
 * connections to a server, for all its tabs together.
 */

const MIN_WAIT_MS = 1000;
const MAX_WAIT_MS = 10_000;

/**
 * @param {{status: (status: any) => void, unreachable: (unreachable: boolean) => void, refused: () => void}} handlers `refused`: the server wants its token
 */
export function connect(handlers) {
  /** @type {EventSource | null} */
  let stream = null;
  let wait = MIN_WAIT_MS;
  let timer = 0;

  const open = () => {
    close();
    stream = new EventSource("/api/events");
    stream.addEventListener("open", () => {
      wait = MIN_WAIT_MS;
      handlers.unreachable(false);
    });
    stream.addEventListener("status", (event) => handlers.status(JSON.parse(event.data)));
    stream.addEventListener("error", () => {
      // The browser's own reconnecting gives up for good on some answers; ours does not.
      close();
      handlers.unreachable(true);
      timer = setTimeout(open, wait);
      wait = Math.min(2 * wait, MAX_WAIT_MS);
      // Started again, a server has another token, and an event stream does not tell which answer ended it. Nothing waits for this one: it may hang.
      isRefused().then((refused) => refused && handlers.refused());
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

async function isRefused() {
  try {
    return (await fetch("/api/status", { method: "HEAD", credentials: "same-origin" })).status === 401;
  } catch {
    return false;
  }
}
