//! Where time went, by type of layer: a bar in segments, and the shares in words.

use super::super::model::{Layer, Report};
use super::page::{Line, Style};
use super::units::percent;
use std::collections::BTreeMap;

/// Without colour, segments are told apart by their shade.
const SHADES: [&str; 5] = ["█", "▓", "▒", "░", "·"];

/// Shares in words beside a bar; what is left becomes `other`.
const MAX_SHARES: usize = 4;

/// Smaller shares are not worth a reader's time.
const MIN_SHARE: f64 = 0.01;

/// Which colour and shade stands for which type: the same in the whole report.
pub struct Legend {
    places: BTreeMap<String, usize>,
    colour: bool,
}

impl Legend {
    /// Types with the most time in the whole report take the most distinct colours.
    pub fn new(report: &Report, colour: bool) -> Self {
        let mut totals: BTreeMap<&str, f64> = BTreeMap::new();
        let endpoints = report.endpoints.iter().flat_map(|endpoint| &endpoint.layers);
        for layer in endpoints.chain(report.jobs.iter().flat_map(|job| &job.layers)) {
            *totals.entry(&layer.kind).or_default() += layer.seconds;
        }
        let mut kinds: Vec<(&str, f64)> = totals.into_iter().collect();
        kinds.sort_by(|a, b| b.1.total_cmp(&a.1));
        let places = kinds.into_iter().enumerate().map(|(at, (kind, _))| (kind.to_owned(), at));
        Self { places: places.collect(), colour }
    }

    /// The style of a layer's type, or of an operation's (`SQL/User/select`).
    pub fn style(&self, operation: &str) -> Style {
        let kind = operation.split('/').next().unwrap_or_default();
        Style::Layer(self.places.get(kind).copied().unwrap_or(usize::MAX))
    }

    fn shade(&self, kind: &str) -> &'static str {
        let place =
            if self.colour { 0 } else { self.places.get(kind).copied().unwrap_or(usize::MAX) };
        SHADES.get(place.min(SHADES.len() - 1)).copied().unwrap_or("·")
    }

    /// `████▓▓░  SQL 62% · View 20% · Controller 18%`, from the given column on.
    pub fn line(&self, indent: usize, layers: &[Layer], bar_columns: usize) -> Line {
        let whole: f64 = layers.iter().map(|layer| layer.seconds).sum();
        let mut line = Line::indent(indent);
        for (layer, columns) in layers.iter().zip(segments(layers, bar_columns)) {
            line.push(self.style(&layer.kind), &self.shade(&layer.kind).repeat(columns));
        }
        line.pad_to(indent + bar_columns);
        // Sorted by time, so the visible ones come first.
        let visible = layers.iter().take_while(|layer| layer.seconds >= whole * MIN_SHARE);
        let named = visible.count().min(MAX_SHARES);
        for layer in layers.iter().take(named) {
            line.push(Style::Plain, "  ");
            line.push(self.style(&layer.kind), self.shade(&layer.kind));
            line.push(Style::Plain, &format!(" {}", layer.kind));
            line.push(Style::Dim, &format!(" {}", percent(layer.seconds, whole)));
        }
        let rest: f64 = layers.iter().skip(named).map(|layer| layer.seconds).sum();
        if rest >= whole * 2.0 * MIN_SHARE && rest > 0.0 {
            line.push(Style::Dim, &format!("  other {}", percent(rest, whole)));
        }
        line
    }
}

/// Columns for each layer, by the largest remainder: they add up to `columns`.
fn segments(layers: &[Layer], columns: usize) -> Vec<usize> {
    let whole: f64 = layers.iter().map(|layer| layer.seconds).sum();
    if whole <= 0.0 {
        return layers.iter().map(|_| 0).collect();
    }
    let exact: Vec<f64> =
        layers.iter().map(|layer| layer.seconds / whole * columns as f64).collect();
    let mut parts: Vec<usize> = exact.iter().map(|part| part.floor() as usize).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let remainder = |at: &usize| exact.get(*at).map_or(0.0, |part| part.fract());
    order.sort_by(|a, b| remainder(b).total_cmp(&remainder(a)));
    let missing = columns.saturating_sub(parts.iter().sum());
    for at in order.into_iter().take(missing) {
        if let Some(part) = parts.get_mut(at) {
            *part += 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(seconds: &[f64]) -> Vec<Layer> {
        seconds.iter().map(|&seconds| Layer { kind: "X".to_owned(), seconds }).collect()
    }

    #[test]
    fn segments_fill_the_bar_exactly() {
        assert_eq!(segments(&layers(&[62.0, 20.0, 18.0]), 20), [12, 4, 4]);
        assert_eq!(segments(&layers(&[1.0, 1.0, 1.0]), 20).iter().sum::<usize>(), 20);
        assert_eq!(segments(&layers(&[1e9, 1.0]), 10), [10, 0]);
        assert_eq!(segments(&layers(&[0.0]), 10), [0]);
        assert_eq!(segments(&[], 10), [0; 0]);
    }
}
