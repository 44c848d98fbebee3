// Search runs in a Worker, which browsers refuse to pages that are opened from a folder (file:). For these pages this class
// runs the script of the worker in a hidden frame instead. It replaces the script of the same name that the theme would
// load from the network.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      this.ready = new Promise((resolve) => {
        frame.addEventListener("load", async () => {
          const inside = frame.contentWindow;
          const load = (source) =>
            new Promise((loaded, failed) => {
              const script = inside.document.createElement("script");
              Object.assign(script, { src: source, onload: loaded, onerror: failed });
              inside.document.head.append(script);
            });
          inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
          inside.importScripts = async (...sources) => {
            for (const source of sources) await load(source);
          };
          await load(new URL(url, location.href));
          resolve(inside);
        }, { once: true });
      });
      frame.srcdoc = "<!doctype html><title>search</title>";
      document.body.append(frame);
      this.frame = frame;
    }

    async postMessage(data) {
      const inside = await this.ready;
      inside.dispatchEvent(new inside.MessageEvent("message", { data }));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
