/** Renders Markdown text as HTML. */
import MarkdownIt from "markdown-it";

const markdown = new MarkdownIt({ html: true, linkify: true, typographer: true });

export const handler = async ({ text }) => ({ html: markdown.render(text), runsOn: process.release.name });
