/* Search in pages that lie in a folder: browsers start no worker there, so it runs in a frame. */
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.documentElement.append(frame);
      this.inside = frame.contentWindow;
      this.inside.document.open();
      this.inside.document.close();
      this.inside.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      const script = this.inside.document.createElement("script");
      script.src = url;
      this.isThere = new Promise((resolve) => script.addEventListener("load", resolve));
      this.inside.document.documentElement.append(script);
    }
    postMessage(data) {
      this.isThere.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
