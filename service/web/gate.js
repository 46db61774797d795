// So many at once, the others in the order in which they came. A browser has six connections to a server, and everything shares them.
export class Gate {
  constructor(limit) {
    this.free = limit;
    this.waiting = [];
  }

  /** Resolves when it is one's turn; what it gives is to be called, once, when that is over. Rejects when `signal` says so before. */
  async enter(signal) {
    if (this.free > 0) this.free--;
    else {
      await new Promise((go, leave) => {
        this.waiting.push(go);
        signal.addEventListener("abort", () => {
          this.waiting = this.waiting.filter((other) => other !== go);
          leave(new DOMException("cancelled", "AbortError"));
        });
      });
    }
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const next = this.waiting.shift();
      if (next) next();
      else this.free++;
    };
  }
}
