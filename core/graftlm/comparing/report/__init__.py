"""What came of a comparison: one value, written as Markdown, as a page, as JSON."""
