//! The report as a page of text. Pure: the same report and view give the same characters.

mod headline;
mod layers;
mod page;
mod sections;
mod table;
pub mod text;
pub mod units;
mod waterfall;

use super::model::Report;
use layers::Legend;
use page::Page;

/// How the page is to look.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The terminal's width. Narrow pages lose columns; beyond [`View::MAX_COLUMNS`] it stays put.
    pub columns: usize,
    pub colour: bool,
    /// Rows of each table.
    pub top: usize,
}

impl View {
    /// Wider lines are hard to read.
    pub const MAX_COLUMNS: usize = 120;
    /// Narrower pages would drop what matters.
    pub const MIN_COLUMNS: usize = 50;
}

/// Draws the page.
pub fn render(report: &Report, view: View) -> String {
    let columns = view.columns.clamp(View::MIN_COLUMNS, View::MAX_COLUMNS);
    let mut page = Page::new(columns, view.colour);
    let legend = Legend::new(report, view.colour);
    headline::draw(&mut page, report);
    sections::endpoints(&mut page, report, &legend, view.top);
    sections::jobs(&mut page, report, &legend, view.top);
    sections::traces(&mut page, report, &legend);
    sections::n_plus_one(&mut page, report, view.top);
    sections::sql(&mut page, report, view.top);
    sections::services(&mut page, report, view.top);
    sections::errors(&mut page, report, view.top);
    headline::files(&mut page, report);
    page.finish()
}

#[cfg(test)]
mod tests;
