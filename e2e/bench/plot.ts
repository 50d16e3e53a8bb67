/** Percentile curves as an SVG picture. Pure. */
import type { Series } from "./report.ts";
import { percentile, sorted } from "./statistics.ts";

const WIDTH = 760;
const HEIGHT = 420;
const MARGIN = { left: 64, right: 150, top: 36, bottom: 44 };
const COLOURS = ["#1b6ca8", "#d1495b", "#3a7d44", "#edae49", "#6a4c93", "#00798c", "#8d6a4f", "#555555"];
/** Where the axis of per cents is marked; each step is as wide as the one before, so that the tail can be seen. */
const PERCENTS = [0, 50, 90, 99, 99.9, 99.99];

/** One picture: a curve for each series, per cent of the answers against milliseconds, both in logarithmic steps. */
export function percentilePlot(title: string, series: readonly Series[]): string {
  const curves = series.filter(({ milliseconds }) => milliseconds.length > 0).map(curveOf);
  const values = curves.flatMap(({ points }) => points.map(([, value]) => value));
  const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const decades = Array.from({ length: Math.max(1, high - low) + 1 }, (_, i) => low + i);
  const x = (percent: number): number => MARGIN.left + (positionOf(percent) / positionOf(99.99)) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value: number): number => {
    const part = (Math.log10(value) - low) / Math.max(1, high - low);
    return HEIGHT - MARGIN.bottom - part * (HEIGHT - MARGIN.top - MARGIN.bottom);
  };
  const line = (x1: number, y1: number, x2: number, y2: number) =>
    `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="#ddd"/>`;
  const text = (atX: number, atY: number, words: string, more = "") =>
    `<text x="${atX.toFixed(1)}" y="${atY.toFixed(1)}" ${more}>${escaped(words)}</text>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    // What a screen reader says of the picture.
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(MARGIN.left, 22, title, 'font-size="14"'),
    ...PERCENTS.flatMap((percent) => [
      line(x(percent), MARGIN.top, x(percent), HEIGHT - MARGIN.bottom),
      text(x(percent), HEIGHT - MARGIN.bottom + 18, percent === 0 ? "min" : `p${percent}`, 'text-anchor="middle"'),
    ]),
    ...decades.flatMap((decade) => [
      line(MARGIN.left, y(10 ** decade), WIDTH - MARGIN.right, y(10 ** decade)),
      text(MARGIN.left - 8, y(10 ** decade) + 4, `${10 ** decade} ms`, 'text-anchor="end"'),
    ]),
    ...curves.flatMap(({ name, points }, i) => {
      const colour = COLOURS[i % COLOURS.length] ?? "black";
      const path = points.map(([percent, value]) => `${x(percent).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      return [
        `<polyline fill="none" stroke="${colour}" stroke-width="1.8" points="${path}"/>`,
        text(WIDTH - MARGIN.right + 12, MARGIN.top + 14 + i * 18, name, `fill="${colour}"`),
      ];
    }),
    "</svg>",
    "",
  ].join("\n");
}

/** Nines: the position of a per cent on the axis, where 90, 99 and 99.9 are at equal distances. */
const positionOf = (percent: number): number => -Math.log10(1 - percent / 100);

/** A curve goes as far as the series has values to say something: the highest point is its largest value. */
function curveOf({ name, milliseconds }: Series): { name: string; points: [number, number][] } {
  const ascending = sorted(milliseconds);
  const furthest = Math.min(99.99, 100 - 100 / Math.max(2, ascending.length));
  const steps = 120;
  const points = Array.from({ length: steps + 1 }, (_, i): [number, number] => {
    const percent = 100 * (1 - 10 ** -((positionOf(furthest) * i) / steps));
    return [percent, Math.max(0.001, percentile(ascending, percent))];
  });
  return { name, points };
}

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
