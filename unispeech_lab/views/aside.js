// Aside: the sound that a panel is about where that is not the utterance, and the button that plays it.

class Aside {
  constructor(caption, other) {
    this.player = new Player(() => this.told());
    this.button = make("button", "us-aside", caption, { type: "button", textContent: "▶ hear it" });
    this.button.onclick = () => {
      if (this.player.playing) return this.player.pause();
      other.pause(); // one sound at a time
      this.player.seek(0);
      this.player.play(0, this.player.seconds);
    };
  }

  load({ samples, rate }) {
    this.player.load(bytes(samples, Int16Array), rate);
  }

  told() {
    if (!this.button) return;
    this.button.textContent = this.player.playing ? "❚❚ stop" : "▶ hear it";
    this.button.dataset.playing = Boolean(this.player.playing);
  }

  dispose() {
    this.player.dispose();
    this.button.remove();
  }

  // A panel's aside as it shall now be: made, given its sound, or taken away.
  static keep(shown, sound, other) {
    if (!sound) {
      shown.aside?.dispose();
      shown.aside = null;
      return;
    }
    shown.aside ??= new Aside(shown.caption, other);
    shown.aside.load(sound);
  }
}
