//! Tables: a name that takes the room there is, and numbers to the right of it.

use super::page::{Line, Page, Style};
use super::text;

/// A column of numbers. On a narrow page those with the highest `drop_order` go first; 0 stays.
pub struct Column {
    pub title: &'static str,
    pub drop_order: u8,
}

/// A name, its numbers (one a column), and lines that belong beneath it.
pub struct Row {
    pub name: Line,
    pub numbers: Vec<(Style, String)>,
    pub beneath: Vec<Line>,
}

const INDENT: usize = 2;
const GAP: usize = 2;
const MIN_NAME: usize = 22;

/// Draws a table under its section's title.
pub fn draw(page: &mut Page, name_title: &str, columns: &[Column], rows: &[Row]) {
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let numbers = rows.iter().filter_map(|row| row.numbers.get(at));
            let widest = numbers.map(|(_, number)| text::width(number)).max().unwrap_or(0);
            widest.max(text::width(column.title)).max(6)
        })
        .collect();
    let mut shown: Vec<bool> = columns.iter().map(|_| true).collect();
    let taken = |shown: &[bool]| -> usize {
        widths.iter().zip(shown).filter(|(_, shown)| **shown).map(|(width, _)| width + GAP).sum()
    };
    let room = page.columns.saturating_sub(INDENT);
    while room < taken(&shown) + MIN_NAME {
        let last = columns
            .iter()
            .enumerate()
            .filter(|(at, column)| column.drop_order > 0 && shown.get(*at) == Some(&true))
            .max_by_key(|(_, column)| column.drop_order);
        let Some(slot) = last.and_then(|(at, _)| shown.get_mut(at)) else { break };
        *slot = false;
    }
    let name_end = page.columns.saturating_sub(taken(&shown)).max(INDENT + 1);
    let mut head = Line::indent(INDENT);
    head.push_within(Style::Dim, name_title, name_end);
    let titles = columns.iter().map(|column| (Style::Dim, column.title.to_owned())).collect();
    numbers(page, head, titles, (&widths, &shown), name_end);
    for row in rows {
        let mut line = Line::indent(INDENT);
        line.append_within(&row.name, name_end);
        numbers(page, line, row.numbers.clone(), (&widths, &shown), name_end);
        for line in &row.beneath {
            page.line(line);
        }
    }
}

fn numbers(
    page: &mut Page,
    mut line: Line,
    cells: Vec<(Style, String)>,
    (widths, shown): (&[usize], &[bool]),
    name_end: usize,
) {
    let mut column = name_end;
    for ((style, cell), (width, _)) in
        cells.into_iter().zip(widths.iter().zip(shown)).filter(|(_, (_, shown))| **shown)
    {
        column += width + GAP;
        line.pad_to(column.saturating_sub(text::width(&cell)));
        line.push(style, &cell);
    }
    page.line(&line);
}
