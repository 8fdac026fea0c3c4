// Rate–accuracy curves as one SVG per model: a panel per cut, bytes on a logarithmic axis, agreement with the uncompressed
// model upwards. Text stays text, colours follow the reader's scheme, and the width is that of a phone.

export interface Curve {
  family: string;
  /** In rising bytes; y in 0…1. */
  points: readonly { bytes: number; y: number }[];
}

export interface Panel {
  title: string;
  curves: readonly Curve[];
}

interface Style {
  /** Class of the colour, see STYLES. */
  tone: string;
  dash?: string;
  dot?: true;
}

const LOOKS: Record<string, Style> = {
  'isthmus profile': { tone: 'a' },
  'isthmus dct': { tone: 'b' },
  'isthmus none': { tone: 'b', dash: '2 4' },
  slicer: { tone: 'c', dash: '8 3' },
  rans: { tone: 'd', dash: '6 3 2 3' },
  jpeg: { tone: 'e' },
  webp: { tone: 'e', dash: '7 4' },
  'int8+deflate': { tone: 'f', dot: true },
  'fp16+gzip': { tone: 'e', dot: true },
};

const CSS = `text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#1e293b}
.h{font-weight:600;font-size:14px}.s{font-size:12px}.bg{fill:#f8fafc}.grid{stroke:#cbd5e1}.l{fill:none;stroke-width:2.2;stroke-linejoin:round}
.a{stroke:#0f766e}.b{stroke:#0284c7}.c{stroke:#c2410c}.d{stroke:#a21caf}.e{stroke:#64748b}.f{stroke:#a16207}
@media(prefers-color-scheme:dark){text{fill:#e2e8f0}.bg{fill:#0f172a}.grid{stroke:#334155}.a{stroke:#2dd4bf}.b{stroke:#38bdf8}.c{stroke:#fb923c}.d{stroke:#e879f9}.e{stroke:#94a3b8}.f{stroke:#facc15}}`;

const WIDTH = 480;
const PLOT = { left: 46, right: 12, top: 30, height: 190, bottom: 44 };
const PANEL = PLOT.top + PLOT.height + PLOT.bottom;
const LEGEND_COLUMNS = 3;

/** Panels below each other under one legend. @param floor lowest agreement shown */
export function plot(title: string, description: string, panels: readonly Panel[], floor = 0.5): string {
  const present = new Set(panels.flatMap(({ curves }) => curves.map(({ family }) => family)));
  const families = Object.keys(LOOKS).filter((family) => present.has(family));
  const legendRows = Math.ceil(families.length / LEGEND_COLUMNS);
  const top = 44 + 20 * legendRows;
  const bytes = panels.flatMap(({ curves }) =>
    curves.flatMap(({ points }) => visible(points, floor).map((p) => p.bytes)),
  );
  const range = [Math.min(...bytes) * 0.9, Math.max(...bytes) * 1.1] as const;
  const body = panels.map((panel, i) => drawPanel(panel, top + i * PANEL, range, floor));
  const height = top + panels.length * PANEL + 6;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="t d">
<title id="t">${escaped(title)}</title><desc id="d">${escaped(description)}</desc>
<style>${CSS}</style>
<rect class="bg" width="${WIDTH}" height="${height}" rx="12"/>
<text class="h" x="12" y="24">${escaped(title)}</text>
${families.map(legendEntry).join('\n')}
${body.join('\n')}
</svg>
`;
}

function legendEntry(family: string, i: number): string {
  const x = 12 + (i % LEGEND_COLUMNS) * 158;
  const y = 46 + 20 * Math.floor(i / LEGEND_COLUMNS);
  const mark = LOOKS[family]!.dot ? dot(family, x + 12, y - 4) : line(family, `M${x} ${y - 4}h24`);
  return `${mark}<text class="s" x="${x + 30}" y="${y}">${escaped(family)}</text>`;
}

function drawPanel(
  { title, curves }: Panel,
  top: number,
  range: readonly [number, number],
  floor: number,
): string {
  const width = WIDTH - PLOT.left - PLOT.right;
  const base = top + PLOT.top + PLOT.height;
  const logs = range.map(Math.log) as [number, number];
  const x = (bytes: number) => PLOT.left + (width * (Math.log(bytes) - logs[0])) / (logs[1] - logs[0]);
  const y = (value: number) => base - (PLOT.height * (value - floor)) / (1 - floor);
  const steps = Array.from({ length: 6 }, (_, i) => floor + ((1 - floor) * i) / 5);
  const ticks = byteTicks(range);
  const place = ({ bytes, y: value }: Curve['points'][number]) =>
    `${x(bytes).toFixed(1)} ${y(value).toFixed(1)}`;
  return [
    `<text class="h" x="${PLOT.left}" y="${top + 18}">${escaped(title)}</text>`,
    `<path class="grid" d="${steps.map((v) => `M${PLOT.left} ${y(v).toFixed(1)}h${width}`).join('')}${ticks.map((b) => `M${x(b).toFixed(1)} ${base}v${-PLOT.height}`).join('')}"/>`,
    ...steps.map(
      (v) =>
        `<text class="s" x="${PLOT.left - 6}" y="${(y(v) + 4).toFixed(1)}" text-anchor="end">${Math.round(100 * v)} %</text>`,
    ),
    ...ticks.map(
      (b) =>
        `<text class="s" x="${x(b).toFixed(1)}" y="${base + 16}" text-anchor="middle">${byteLabel(b)}</text>`,
    ),
    `<text class="s" x="${PLOT.left + width / 2}" y="${base + 32}" text-anchor="middle">bytes per picture</text>`,
    ...curves.flatMap(({ family, points }) => {
      const seen = visible(points, floor);
      if (seen.length === 0) return [];
      if (LOOKS[family]?.dot) return seen.map((p) => dot(family, x(p.bytes), y(p.y)));
      return [line(family, `M${seen.map(place).join('L')}`)];
    }),
  ].join('\n');
}

const visible = (points: Curve['points'], floor: number) => points.filter((p) => p.y >= floor);

function line(family: string, d: string): string {
  const { tone, dash } = LOOKS[family]!;
  return `<path class="l ${tone}"${dash ? ` stroke-dasharray="${dash}"` : ''} d="${d}"/>`;
}

const dot = (family: string, x: number, y: number) =>
  `<circle class="l ${LOOKS[family]!.tone}" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="4"/>`;

/** Powers of two, or every other one where they would stand too close. */
function byteTicks([low, high]: readonly [number, number]): number[] {
  const first = Math.ceil(Math.log2(low));
  const count = Math.floor(Math.log2(high)) - first + 1;
  const stride = count > 8 ? 2 : 1;
  return Array.from({ length: Math.ceil(count / stride) }, (_, i) => 2 ** (first + i * stride));
}

const byteLabel = (bytes: number) => (bytes >= 1024 ? `${bytes / 1024} KB` : `${bytes}`);
const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
