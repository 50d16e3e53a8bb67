import { expect, test } from "vitest";
import { percentilePlot } from "./plot.ts";

const series = (name: string, milliseconds: number[]) => ({ name, group: "g", milliseconds });
const pointsOf = (svg: string): string[] => [...svg.matchAll(/points="([^"]+)"/g)].map((match) => match[1] ?? "");

test("every series is one curve that never falls, and has its name beside it", () => {
  const svg = percentilePlot("warm", [series("bare", [0.1, 0.2, 5]), series("kappa <1>", [1, 2, 3, 4])]);
  expect(pointsOf(svg)).toHaveLength(2);
  for (const points of pointsOf(svg)) {
    // Upwards is towards smaller coordinates.
    const heights = points.split(" ").map((point) => Number(point.split(",")[1]));
    expect(heights).toEqual(heights.toSorted((a, b) => b - a));
  }
  expect(svg).toContain(">kappa &lt;1&gt;</text>");
});

test("the picture has its title, for those who cannot see it", () => {
  expect(percentilePlot("cold < warm", [series("one", [1])])).toContain("<title>cold &lt; warm</title>");
});

test("everything lies within the picture, whatever the values", () => {
  const svg = percentilePlot("extremes", [series("wide", [0, 0.0001, 250_000]), series("one", [7]), series("same", [3, 3, 3])]);
  for (const points of pointsOf(svg))
    for (const point of points.split(" ")) {
      const [x, y] = point.split(",").map(Number);
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(760);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(420);
    }
});

test("a series without values has no curve", () => {
  expect(pointsOf(percentilePlot("none", [series("empty", []), series("one", [1])]))).toHaveLength(1);
});
