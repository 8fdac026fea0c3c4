// The settings panel: selects bound to Settings, the address under Advanced, the one-line summary for phones.
// It tells its owner what kind of change was made; what follows from it is decided there.
import type { Session } from '../index.ts';
import { fill, part } from './dom.ts';
import { bytes } from './format.ts';
import { DEVICES, MODES, PRESET_NAMES, type Settings } from './settings.ts';

/** `connect`: another session is needed. `run`: the session stays, the next run differs. */
export type Change = 'connect' | 'run';

export interface Controls {
  /** Shows the settings as they are, after they were changed by code. */
  sync(): void;
  models(names: readonly string[]): void;
  cuts(manifest: Session['manifest']): void;
}

const select = (name: string) => part(`select-${name}`, HTMLSelectElement);

export function createControls(settings: Settings, changed: (change: Change) => void): Controls {
  const sum = part('settings-sum', HTMLElement);
  const endpoint = part('endpoint', HTMLInputElement);
  const panel = part('settings', HTMLDetailsElement);

  function summarise() {
    const mode = MODES.find(([m]) => m === settings.mode)?.[1] ?? settings.mode;
    sum.textContent = [settings.model, settings.cut, settings.preset, mode].filter(Boolean).join(' · ');
  }
  function bind<K extends 'model' | 'cut' | 'preset' | 'mode' | 'device'>(name: K, change: Change) {
    select(name).addEventListener('change', () => {
      settings[name] = select(name).value as Settings[K];
      if (name === 'model') settings.cut = ''; // cuts belong to their model
      summarise();
      changed(change);
    });
  }
  bind('model', 'connect');
  bind('cut', 'run');
  bind('preset', 'run');
  bind('mode', 'run');
  bind('device', 'connect');
  part('endpoint-form', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    Object.assign(settings, { endpoint: endpoint.value.trim(), model: '', cut: '' });
    changed('connect');
  });

  // On a laptop the panel is a strip that is always open; on a phone it opens on demand.
  const wide = matchMedia('(min-width: 900px)');
  const follow = () => {
    panel.open = wide.matches;
  };
  wide.addEventListener('change', follow);
  follow();

  const controls: Controls = {
    sync() {
      fill(select('preset'), PRESET_NAMES, settings.preset);
      fill(select('mode'), MODES, settings.mode);
      fill(select('device'), DEVICES, settings.device);
      select('cut').value = settings.cut;
      endpoint.value = settings.endpoint;
      summarise();
    },
    models(names) {
      fill(
        select('model'),
        names.map((n) => [n, n] as const),
        settings.model,
      );
      select('model').disabled = false;
      summarise();
    },
    cuts(manifest) {
      const options = manifest.cuts.map((c) => [c.name, `${c.name}, ${bytes(c.rawBytes)} raw`] as const);
      fill(select('cut'), [['', 'automatic'], ...options], settings.cut);
      select('cut').disabled = manifest.cuts.length === 0;
    },
  };
  endpoint.placeholder = location.origin;
  if (settings.endpoint) part('advanced', HTMLDetailsElement).open = true;
  controls.sync();
  return controls;
}
