// Source: a menu of clips, a file button, a record button; what comes in is decoded here to mono PCM.

const element = (tag, className, parent, properties = {}) => {
  const made = Object.assign(document.createElement(tag), { className, ...properties });
  made.dataset.lmSuppressShortcuts = "true"; // its keys are its own, not the notebook's
  parent.append(made);
  return made;
};

// Any sound the browser can play, as mono samples at the rate asked for.
const decode = async (data, rate, longest) => {
  const context = new OfflineAudioContext(1, 1, rate);
  const decoded = await context.decodeAudioData(data);
  const count = Math.min(decoded.length, Math.floor(longest * rate));
  const mono = new Float32Array(count);
  for (let c = 0; c < decoded.numberOfChannels; c++) {
    const channel = decoded.getChannelData(c);
    for (let i = 0; i < count; i++) mono[i] += channel[i] / decoded.numberOfChannels;
  }
  return { samples: mono, seconds: decoded.duration };
};

function render({ model, el }) {
  const root = element("div", "unispeech-source", el);
  const label = element("label", "uc-clips", root);
  element("span", "", label, { textContent: "utterance" });
  const menu = element("select", "", label);
  const fill = () => {
    menu.replaceChildren();
    element("option", "", menu, { value: -1, textContent: "(your own)", hidden: true });
    model.get("clips").forEach((text, k) => element("option", "", menu, { value: k, textContent: text }));
    menu.value = model.get("chosen");
  };
  menu.onchange = () => {
    status.textContent = ""; // what was said of a file is over
    model.set("chosen", Number(menu.value));
    model.save_changes();
  };

  const upload = element("input", "uc-file", root, { type: "file", accept: "audio/*,.flac,.wav,.mp3,.ogg" });
  upload.setAttribute("aria-label", "a sound file of your own");
  const record = element("button", "uc-record", root, { type: "button", textContent: "● record" });
  const status = element("span", "uc-status", root);
  status.setAttribute("role", "status");
  const say = () => (status.textContent = model.get("note"));

  const take = async (data, name) => {
    status.textContent = `reading ${name} …`;
    try {
      const { samples, seconds } = await decode(data, model.get("rate"), model.get("longest"));
      // The moment makes the same file a new choice when it is chosen again.
      model.set("sound", { name, seconds, pcm: new DataView(samples.buffer), at: Date.now() });
      model.save_changes();
      say();
    } catch (error) {
      status.textContent = `${name} is no sound that this browser can read; choose another, or a clip`;
    }
  };
  upload.onchange = async () => {
    const [file] = upload.files;
    if (file) await take(await file.arrayBuffer(), file.name);
    upload.value = "";
  };

  let recorder = null, timer = null;
  const stop = () => recorder?.state === "recording" && recorder.stop();
  const start = async () => {
    let stream;
    try {
      // As the room sounds: what a telephone call would clean away is speech to look at.
      const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      status.textContent = "no microphone, or no leave to use it; the clips and your files are here";
      return;
    }
    const parts = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = async () => {
      clearInterval(timer);
      stream.getTracks().forEach((track) => track.stop());
      record.textContent = "● record";
      record.setAttribute("aria-pressed", "false");
      if (root.isConnected) await take(await new Blob(parts).arrayBuffer(), "my voice");
    };
    recorder.start();
    record.textContent = "■ stop";
    record.setAttribute("aria-pressed", "true");
    const began = performance.now();
    timer = setInterval(() => {
      const seconds = (performance.now() - began) / 1000;
      status.textContent = `listening, ${seconds.toFixed(1)} s`;
      if (seconds >= model.get("longest")) stop();
    }, 100);
  };
  record.onclick = () => (recorder?.state === "recording" ? stop() : start());

  const chosen = () => (menu.value = model.get("chosen"));
  const events = [["change:clips", fill], ["change:chosen", chosen], ["change:note", say]];
  events.forEach(([event, act]) => model.on(event, act));
  fill();
  say();
  return () => {
    events.forEach(([event, act]) => model.off(event, act));
    stop();
    clearInterval(timer);
    root.remove();
  };
}

export default { render };
