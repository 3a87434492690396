// Player: one sound, played from anywhere to anywhere, exact to the sample, looped if asked; and clips out of an album.

class Player {
  constructor(changed) {
    this.changed = changed; // called when the sound starts or stops
    this.position = 0; // seconds, while it rests
    this.playing = null; // {node, began, start, stop, loop} while it sounds
    this.samples = new Int16Array(0);
    this.rate = 16000;
  }

  load(samples, rate) {
    this.pause();
    this.samples = samples;
    this.rate = rate;
    this.buffer = null;
    this.position = 0;
  }

  get seconds() {
    return this.samples.length / this.rate;
  }

  // The decoded sound, made when it is first needed: a browser grants sound only after a gesture.
  get decoded() {
    if (!this.buffer) {
      this.context ??= new AudioContext();
      this.buffer = this.context.createBuffer(1, Math.max(this.samples.length, 1), this.rate);
      const channel = this.buffer.getChannelData(0);
      for (let i = 0; i < this.samples.length; i++) channel[i] = this.samples[i] / 32768;
    }
    return this.buffer;
  }

  // Where the ear is: what left the graph, less what the device still holds.
  get time() {
    const p = this.playing;
    if (!p) return this.position;
    const heard = Math.max(0, this.context.currentTime - (this.context.outputLatency || 0) - p.began);
    const length = p.stop - p.start;
    return p.loop && heard > length ? p.start + (heard % length) : Math.min(p.start + heard, p.stop);
  }

  // Stretches of an album one after another, so many seconds at most, each swelling and fading: nothing clicks.
  clips(album, stretches, most = 3) {
    this.pause();
    const rate = 16000, fade = 64, pause = 640;
    const pieces = [];
    let length = 0;
    for (const [start, stop] of stretches) {
      const piece = album.subarray(Math.max(0, Math.round(start * rate)), Math.round(stop * rate));
      if (pieces.length && (length + piece.length) / rate > most) break;
      pieces.push([length, piece.subarray(0, most * rate)]);
      length += Math.min(piece.length, most * rate) + pause;
    }
    if (!pieces.some(([, piece]) => piece.length)) return;
    this.context ??= new AudioContext();
    const buffer = this.context.createBuffer(1, length, rate);
    const channel = buffer.getChannelData(0);
    for (const [at, piece] of pieces)
      for (let i = 0; i < piece.length; i++)
        channel[at + i] = (piece[i] / 32768) * Math.min(1, i / fade, (piece.length - 1 - i) / fade);
    this.context.resume();
    const node = this.context.createBufferSource();
    node.buffer = buffer;
    node.connect(this.context.destination);
    node.start(0, 0, length / rate);
    this.clip = node;
    node.onended = () => {
      node.disconnect();
      if (this.clip === node) (this.clip = null), this.changed();
    };
    this.changed();
  }

  play(start, stop, loop = false) {
    this.silence();
    start = Math.min(Math.max(start, 0), this.seconds);
    stop = Math.min(Math.max(stop, start), this.seconds);
    if (stop - start < 0.001) return this.changed();
    const buffer = this.decoded;
    this.context.resume();
    const node = this.context.createBufferSource();
    node.buffer = buffer;
    node.connect(this.context.destination);
    if (loop) Object.assign(node, { loop: true, loopStart: start, loopEnd: stop });
    const began = this.context.currentTime;
    node.start(0, start, loop ? undefined : stop - start);
    const playing = { node, began, start, stop, loop };
    node.onended = () => {
      if (this.playing !== playing) return; // another stretch has begun since
      this.playing = null;
      node.disconnect();
      this.position = stop >= this.seconds - 1e-3 ? 0 : start;
      this.changed();
    };
    this.playing = playing;
    this.changed();
  }

  pause() {
    this.position = this.time;
    this.silence();
    this.changed();
  }

  seek(seconds) {
    const p = this.playing;
    this.position = Math.min(Math.max(seconds, 0), this.seconds);
    if (p) this.play(this.position, this.seconds);
    else this.changed();
  }

  silence() {
    if (this.clip) {
      this.clip.onended = null;
      this.clip.stop();
      this.clip.disconnect();
      this.clip = null;
    }
    const p = this.playing;
    this.playing = null;
    if (!p) return;
    p.node.onended = null;
    p.node.stop();
    p.node.disconnect();
  }

  dispose() {
    this.silence();
    this.context?.close();
  }
}
