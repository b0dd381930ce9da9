"""A growing Markdown reply to lines of styled text; nothing that is finished is read twice."""
