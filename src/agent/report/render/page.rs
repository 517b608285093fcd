//! The page: lines of styled text. Everything drawn passes through [`Line::push`], which escapes
//! it, so nothing that came out of a payload can reach the terminal raw.

use super::text;

/// How a piece of text looks. Colours are the terminal's own sixteen, so they fit its theme.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    Plain,
    Dim,
    Bold,
    Warn,
    Bad,
    /// A type of layer, by its place in the palette.
    Layer(usize),
}

/// The colours of layer types. The first ones are taken first.
const PALETTE: [&str; 6] = ["34", "36", "35", "32", "33", "90"];

impl Style {
    fn code(self) -> Option<&'static str> {
        match self {
            Style::Plain => None,
            Style::Dim => Some("2"),
            Style::Bold => Some("1"),
            Style::Warn => Some("1;33"),
            Style::Bad => Some("1;31"),
            Style::Layer(place) => PALETTE.get(place.min(PALETTE.len() - 1)).copied(),
        }
    }
}

/// One line in the making.
#[derive(Default, Clone, Debug)]
pub struct Line {
    parts: Vec<(Style, String)>,
}

impl Line {
    /// A line that begins with `columns` spaces.
    pub fn indent(columns: usize) -> Self {
        Self::default().with(Style::Plain, &" ".repeat(columns))
    }

    /// Appends text, escaped.
    pub fn push(&mut self, style: Style, content: &str) {
        if !content.is_empty() {
            self.parts.push((style, text::clean(content)));
        }
    }

    /// As [`Line::push`], to chain.
    pub fn with(mut self, style: Style, content: &str) -> Self {
        self.push(style, content);
        self
    }

    /// Appends text, shortened to what is left of `columns`.
    pub fn push_within(&mut self, style: Style, content: &str, columns: usize) {
        let room = columns.saturating_sub(self.width());
        let content = text::truncate(&text::clean(content), room);
        self.push(style, &content);
    }

    /// Appends another line's parts, shortened to what is left of `columns`.
    pub fn append_within(&mut self, other: &Line, columns: usize) {
        for (style, content) in &other.parts {
            self.push_within(*style, content, columns);
        }
    }

    /// Appends spaces up to a column.
    pub fn pad_to(&mut self, column: usize) {
        let missing = column.saturating_sub(self.width());
        self.push(Style::Plain, &" ".repeat(missing));
    }

    pub fn width(&self) -> usize {
        self.parts.iter().map(|(_, content)| text::width(content)).sum()
    }
}

/// Lines of at most a given width, in colour or not.
pub struct Page {
    pub columns: usize,
    pub colour: bool,
    text: String,
}

impl Page {
    pub fn new(columns: usize, colour: bool) -> Self {
        Self { columns, colour, text: String::new() }
    }

    /// Ends a line: shortened to the page's width, without trailing spaces.
    pub fn line(&mut self, line: &Line) {
        let mut room = self.columns;
        let mut row = String::new();
        let mut end = 0;
        for (style, content) in &line.parts {
            let content = text::truncate(content, room);
            room = room.saturating_sub(text::width(&content));
            if content.trim().is_empty() {
                row.push_str(&content);
                continue;
            }
            match style.code().filter(|_| self.colour) {
                Some(code) => row.push_str(&format!("\x1b[{code}m{content}\x1b[0m")),
                None => row.push_str(&content),
            }
            end = row.len();
        }
        row.truncate(end);
        self.text.push_str(row.trim_end());
        self.text.push('\n');
    }

    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A section's title, after a blank line.
    pub fn title(&mut self, title: &str, remark: &str) {
        self.blank();
        let mut line = Line::default().with(Style::Dim, "── ").with(Style::Bold, title);
        if !remark.is_empty() {
            line.push(Style::Plain, "  ");
            line.push_within(Style::Dim, remark, self.columns.saturating_sub(2));
        }
        line.push(Style::Plain, " ");
        let rest = self.columns.saturating_sub(line.width());
        line.push(Style::Dim, &"─".repeat(rest));
        self.line(&line);
    }

    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_all_that_colour_adds() {
        let line = Line::indent(2).with(Style::Bold, "a\x1b[2Jb").with(Style::Plain, "  ");
        let draw = |colour| {
            let mut page = Page::new(40, colour);
            page.line(&line);
            page.finish()
        };
        assert_eq!(draw(false), "  a\\u{1b}[2Jb\n");
        assert_eq!(draw(true), "  \x1b[1ma\\u{1b}[2Jb\x1b[0m\n");
    }

    #[test]
    fn lines_end_at_the_page_width() {
        let mut page = Page::new(8, false);
        page.line(&Line::default().with(Style::Plain, "12345").with(Style::Dim, "67890"));
        assert_eq!(page.finish(), "1234567…\n");
    }
}
