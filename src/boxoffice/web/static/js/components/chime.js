// A short sound for an admission, synthesized so that no file is loaded. A browser that demands a click first
// stays silent; the page title changes too.

const NOTES_HZ = [523, 659, 784];
const NOTE_S = 0.16;

/** Plays it. */
export function chime() {
  try {
    const context = new AudioContext();
    NOTES_HZ.forEach((frequency, at) => note(context, frequency, context.currentTime + at * NOTE_S));
    setTimeout(() => context.close(), 1000 * (NOTES_HZ.length + 3) * NOTE_S);
  } catch {
    // No sound here.
  }
}

function note(context, frequency, start) {
  const tone = context.createOscillator();
  const volume = context.createGain();
  tone.frequency.value = frequency;
  volume.gain.setValueAtTime(0.0001, start);
  volume.gain.exponentialRampToValueAtTime(0.2, start + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, start + 2 * NOTE_S);
  tone.connect(volume).connect(context.destination);
  tone.start(start);
  tone.stop(start + 2 * NOTE_S);
}
