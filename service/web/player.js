// Plays one clip, frame by frame, with the overlay on it. The picture is what the service decoded; nothing is left to a film player.
import { $ } from "./dom.js";
import { Frames } from "./frames.js";
import { number, t } from "./texts.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2];

export class Player extends EventTarget {
  constructor() {
    super();
    this.canvas = $("picture");
    this.context = this.canvas.getContext("2d");
    this.frames = null;
    this.overlay = null;
    this.frame = 0;
    this.speed = SPEEDS.indexOf(1);
    this.isPlaying = false;
    this.bitmap = null;
    $("play").addEventListener("click", () => this.toggle());
    $("frame-back").addEventListener("click", () => this.step(-1));
    $("frame-on").addEventListener("click", () => this.step(1));
    $("slower").addEventListener("click", () => this.hurry(-1));
    $("faster").addEventListener("click", () => this.hurry(1));
    $("position").addEventListener("input", () => this.go(Number($("position").value)));
    new ResizeObserver(() => this.fit()).observe(this.canvas);
  }

  get seconds() {
    return this.frames ? this.frames.times[this.frame] : 0;
  }

  /** `onShare` hears how much of the picture is drawn, 0..1, as long as it is not all there. */
  async open(id, overlay, onShare) {
    this.close();
    const opening = (this.opening = new AbortController());
    const frames = await Frames.of(id, opening.signal, onShare);
    if (opening.signal.aborted) return frames.close();
    this.overlay = overlay;
    this.frames = frames;
    $("stage").style.setProperty("--shape", `${frames.width} / ${frames.height}`);
    $("stage").style.setProperty("--width", frames.width);
    $("position").max = frames.count - 1;
    this.fit();
    await this.go(0);
  }

  close() {
    this.pause();
    this.opening?.abort();
    this.frames?.close();
    this.frames = this.overlay = this.bitmap = null;
    this.frame = 0;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** As many pixels as the screen has under it. */
  fit() {
    const { width, height } = this.canvas.getBoundingClientRect();
    const density = window.devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [Math.max(1, Math.round(width * density)), Math.max(1, Math.round(height * density))];
    this.draw();
  }

  /** Screen pixels for each of the clip's. */
  get scale() {
    return this.canvas.width / this.frames.width;
  }

  /** Where on the clip a pointer is. */
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.frames.width - 0.5, ((event.clientY - box.top) / box.height) * this.frames.height - 0.5];
  }

  async go(frame) {
    const frames = this.frames;
    if (!frames) return;
    this.frame = Math.min(Math.max(frame, 0), frames.count - 1);
    this.tell();
    const wanted = this.frame;
    const bitmap = await frames.picture(wanted);
    if (this.frames !== frames || this.frame !== wanted) return;
    this.bitmap = bitmap;
    this.draw();
    this.dispatchEvent(new Event("shown"));
  }

  step(by) {
    this.pause();
    return this.go(this.frame + by);
  }

  /** To the time that was pointed at, on something whose width is the clip's time. */
  seek(event) {
    if (!this.frames) return;
    const box = event.currentTarget.getBoundingClientRect();
    this.pause();
    this.go(this.frames.at(Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.frames.seconds));
  }

  hurry(by) {
    this.speed = Math.min(Math.max(this.speed + by, 0), SPEEDS.length - 1);
    $("speed").textContent = `${SPEEDS[this.speed]}×`;
    this._began = null; // what has been played was at another speed
  }

  toggle() {
    if (this.isPlaying) this.pause();
    else this.play();
  }

  play() {
    if (!this.frames || this.frames.count < 2) return;
    if (this.frame === this.frames.count - 1) this.frame = 0;
    this.isPlaying = true;
    this._began = null;
    this._sayPlaying();
    requestAnimationFrame((now) => this._tick(now));
  }

  pause() {
    this.isPlaying = false;
    this._sayPlaying();
  }

  _sayPlaying() {
    $("play").setAttribute("aria-label", t(this.isPlaying ? "pause" : "play"));
    $("play").classList.toggle("playing", this.isPlaying);
  }

  /** The clock rules: a picture that is late is left out, a clip whose pictures have not come yet waits for them. */
  async _tick(now) {
    const frames = this.frames;
    if (!this.isPlaying || !frames) return;
    this._began ??= { at: now, from: this.seconds };
    let seconds = this._began.from + ((now - this._began.at) / 1000) * SPEEDS[this.speed];
    if (seconds >= frames.seconds) {
      if (!$("loop").checked) {
        this.pause();
        return this.go(frames.count - 1);
      }
      this._began = { at: now, from: 0 };
      seconds = 0;
    }
    const next = frames.at(seconds);
    if (next !== this.frame) {
      const asked = performance.now();
      try {
        await this.go(next);
      } catch {
        return this.pause();
      }
      if (performance.now() - asked > 100) this._began = null;
    }
    requestAnimationFrame((later) => this._tick(later));
  }

  tell() {
    const { frames, frame } = this;
    $("position").value = frame;
    $("position").setAttribute("aria-valuetext", `${t("time", { now: number(this.seconds, 2), end: number(frames.seconds, 1) })}, ${this._frameText()}`);
    $("time").textContent = t("time", { now: number(this.seconds, 2), end: number(frames.seconds, 1) });
    $("frame-number").textContent = this._frameText();
    this.dispatchEvent(new Event("moved"));
  }

  _frameText() {
    return t("frame", { frame: this.frame + 1, frames: this.frames.count });
  }

  draw() {
    const { context, canvas, frames, bitmap } = this;
    if (!frames || !bitmap) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    if (!this.overlay) return;
    const scale = this.scale;
    context.setTransform(scale, 0, 0, scale, scale / 2, scale / 2);
    this.overlay.draw(context, this.seconds, (window.devicePixelRatio || 1) / scale, this.frame);
  }
}
