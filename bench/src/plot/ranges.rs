//! Percentiles as dots on a line. All panels have the same logarithmic axis: a dot has a place, not a length.

use std::path::Path;

use super::svg::{Anchor, FAINT_INK, GRID, INK, Picture};
use super::{Grid, grouped};

const HEADING: f64 = 26.0;
const ROW: f64 = 19.0;
/// The room for the numbers of the axis.
const AXIS: f64 = 18.0;
/// The room for the names, and for the numbers beside the dots.
const NAMES: f64 = 126.0;
const NUMBERS: f64 = 84.0;

/// A panel.
pub struct RangePanel {
    /// What is measured.
    pub title: String,
    /// Its lines.
    pub ranges: Vec<Range>,
}

/// The percentiles of one server.
pub struct Range {
    /// The name of the server.
    pub name: String,
    /// The colour of the dots.
    pub colour: &'static str,
    /// The percentiles in ascending order, in milliseconds.
    pub milliseconds: [f64; 3],
}

/// Draws the panels.
pub fn ranges(file: &Path, title: &str, sentence: &str, panels: &[RangePanel]) {
    let values = || panels.iter().flat_map(|panel| &panel.ranges).flat_map(|range| range.milliseconds);
    let first = values().fold(f64::MAX, f64::min).log10().floor();
    let last = values().fold(f64::MIN_POSITIVE, f64::max).log10().ceil().max(first + 1.0);
    let rows = panels.iter().map(|panel| panel.ranges.len()).max().unwrap_or_default();
    let grid = Grid::new(2, HEADING + ROW * rows as f64 + AXIS);
    let mut picture = Picture::new(grid.height_of(panels.len()), title, sentence);
    for (number, panel) in panels.iter().enumerate() {
        let (left, top) = grid.place(number);
        picture.bold((left, top + 14.0), 13.0, &panel.title);
        let width = grid.width - NAMES - NUMBERS;
        let x = |value: f64| left + NAMES + width * (value.log10() - first) / (last - first);
        let bottom = top + HEADING + ROW * panel.ranges.len() as f64;
        for power in first as i32..=last as i32 {
            let value = 10_f64.powi(power);
            picture.line(&[(x(value), top + HEADING - 2.0), (x(value), bottom)], 1.0, GRID);
            if power.rem_euclid(2) == 0 || last - first < 4.0 {
                picture.text((x(value), bottom + 12.0), Anchor::Middle, FAINT_INK, &time(value));
            }
        }
        for (row, range) in panel.ranges.iter().enumerate() {
            let y = top + HEADING + ROW * (row as f64 + 0.5);
            let [low, middle, high] = range.milliseconds;
            picture.line(&[(x(low), y), (x(high), y)], 2.0, range.colour);
            for (value, radius) in [(low, 2.5), (middle, 3.5), (high, 5.0)] {
                picture.dot((x(value), y), radius, range.colour);
            }
            picture.text((left + NAMES - 8.0, y + 4.0), Anchor::End, INK, &range.name);
            let numbers = format!("{} / {}", number_of(low), number_of(high));
            picture.text((left + grid.width, y + 4.0), Anchor::End, INK, &numbers);
        }
    }
    picture.write(file);
}

/// A number of milliseconds in the room beside the dots.
fn number_of(milliseconds: f64) -> String {
    if milliseconds < 10.0 { format!("{milliseconds:.1}") } else { grouped(milliseconds) }
}

/// A power of ten of the axis.
fn time(milliseconds: f64) -> String {
    if milliseconds < 1_000.0 { format!("{milliseconds}") } else { format!("{} s", milliseconds / 1_000.0) }
}
