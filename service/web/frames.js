// The pictures of one clip: fetched in stretches as they are needed, decoded ahead of the one that is shown, forgotten behind it.
import * as api from "./api.js";

const STRETCH_BYTES = 2 << 20;
const PICTURES_BYTES = 160 << 20; // decoded, four bytes a pixel
const AHEAD = 12;

export class Frames {
  static async of(id, signal, onShare) {
    return new Frames(id, await api.frames(id, signal, onShare));
  }

  constructor(id, { width, height, duration_s: seconds, times_s: times, offsets }) {
    Object.assign(this, { width, height, seconds, times });
    this.count = times.length;
    this.id = id;
    this.offsets = offsets;
    this.stretches = new Map(); // first frame of a stretch -> promise of {first, bytes}
    this.pictures = new Map(); // frame -> promise of ImageBitmap, the last one used at the end
    this.limit = Math.max(AHEAD + 4, Math.floor(PICTURES_BYTES / (4 * width * height)));
    this.gone = new AbortController();
  }

  /** The frame that is shown at a time. */
  at(seconds) {
    let [low, high] = [0, this.count - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.times[middle] <= seconds + 1e-6) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The picture of a frame; those after it are made ready meanwhile. */
  picture(frame, ahead = AHEAD) {
    const wanted = this._made(frame);
    for (let next = frame + 1; next <= Math.min(frame + ahead, this.count - 1); next++) this._made(next).catch(() => {});
    return wanted;
  }

  close() {
    this.gone.abort();
    for (const picture of this.pictures.values()) picture.then((bitmap) => bitmap.close()).catch(() => {});
    this.pictures.clear();
    this.stretches.clear();
  }

  _made(frame) {
    const known = this.pictures.get(frame);
    if (known) {
      this.pictures.delete(frame);
      this.pictures.set(frame, known);
      return known;
    }
    const made = this._bytes(frame).then((bytes) => createImageBitmap(new Blob([bytes], { type: "image/jpeg" })));
    made.catch(() => this.pictures.delete(frame)); // to be tried again
    this.pictures.set(frame, made);
    for (const [old, picture] of this.pictures) {
      if (this.pictures.size <= this.limit) break;
      this.pictures.delete(old);
      picture.then((bitmap) => bitmap.close()).catch(() => {});
    }
    return made;
  }

  async _bytes(frame) {
    const { first, bytes } = await this._stretch(frame);
    return bytes.slice(this.offsets[frame] - this.offsets[first], this.offsets[frame + 1] - this.offsets[first]);
  }

  /** Stretches begin where the one before would grow over its size, whoever asks for them. */
  _stretch(frame) {
    this.starts ??= this._cut();
    const first = this.starts.findLast((start) => start <= frame);
    let stretch = this.stretches.get(first);
    if (!stretch) {
      const end = this.starts.find((start) => start > frame) ?? this.count;
      stretch = api.frameBytes(this.id, this.offsets[first], this.offsets[end], this.gone.signal).then((bytes) => ({ first, bytes }));
      stretch.catch(() => this.stretches.delete(first));
      this.stretches.set(first, stretch);
      if (this.stretches.size > 24) this.stretches.delete(this.stretches.keys().next().value);
    }
    return stretch;
  }

  _cut() {
    const starts = [0];
    for (let frame = 1; frame < this.count; frame++) {
      if (this.offsets[frame + 1] - this.offsets[starts[starts.length - 1]] > STRETCH_BYTES) starts.push(frame);
    }
    return starts;
  }
}
