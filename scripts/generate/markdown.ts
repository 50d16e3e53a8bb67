/** A Markdown table. Cells are texts of one line; a vertical bar in them does not end the cell. */
export function table(header: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

/** A text as code of one line. */
export const code = (text: string) => `\`${text}\``;

/** What every generated document begins with, after its title. */
export const generatedFrom = (source: string) =>
  `Generated from ${code(source)} by ${code("npm run generate")}: change that, not this file.`;
