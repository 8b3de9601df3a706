//! A line for each operation, over sizes that grow by the same factor. The vertical axis begins at zero.

use std::path::Path;

use super::svg::{Anchor, FAINT_INK, GRID, INK, Picture};
use super::{Grid, scale, short, tick, trimmed};

const HEADING: f64 = 22.0;
const HEIGHT: f64 = 68.0;
/// The room below a panel for its sizes.
const SIZES: f64 = 18.0;
/// The room for the numbers of the vertical axis, and for half of the first and the last number of the line.
const NUMBERS: f64 = 36.0;
const HALF_NUMBER: f64 = 24.0;
const COLOUR: &str = "#1f5fa8";

/// A panel.
pub struct LinePanel {
    /// What is measured.
    pub title: String,
    /// The sizes and the measured values, in ascending order of the sizes.
    pub points: Vec<(f64, f64)>,
}

/// Draws the panels. Each has a vertical scale of its own.
pub fn lines(file: &Path, title: &str, sentence: &str, panels: &[LinePanel]) {
    let grid = Grid::new(2, HEADING + HEIGHT + SIZES);
    let mut picture = Picture::new(grid.height_of(panels.len()), title, sentence);
    for (number, panel) in panels.iter().enumerate() {
        let (left, top) = grid.place(number);
        picture.bold((left, top + 12.0), 12.0, &panel.title);
        let (end, step) = scale(panel.points.iter().map(|point| point.1).fold(0.0, f64::max));
        let gaps = panel.points.len().saturating_sub(1).max(1) as f64;
        let (first, last) = (left + NUMBERS + HALF_NUMBER, left + grid.width - HALF_NUMBER);
        let x = |place: usize| first + (last - first) * place as f64 / gaps;
        let bottom = top + HEADING + HEIGHT;
        let y = |value: f64| bottom - (HEIGHT - 8.0) * value / end;
        let mut value = 0.0;
        while value <= end * 1.001 {
            let colour = if value == 0.0 { INK } else { GRID };
            picture.line(&[(left + NUMBERS, y(value)), (left + grid.width, y(value))], 1.0, colour);
            picture.text((left + NUMBERS - 5.0, y(value) + 4.0), Anchor::End, FAINT_INK, &tick(value));
            value += step;
        }
        let places: Vec<(f64, f64)> =
            panel.points.iter().enumerate().map(|(place, point)| (x(place), y(point.1))).collect();
        picture.line(&places, 2.0, COLOUR);
        for (place, (size, value)) in places.iter().zip(&panel.points) {
            picture.dot(*place, 3.0, COLOUR);
            picture.text((place.0, bottom + 14.0), Anchor::Middle, FAINT_INK, &size_of(*size));
            // Below the line if the number would leave the panel.
            let above = if place.1 < top + HEADING + 14.0 { 16.0 } else { -7.0 };
            picture.text_on_lines((place.0, place.1 + above), &trimmed(short(*value)));
        }
    }
    picture.write(file);
}

/// A size in little room: `1k`, `1M`.
fn size_of(size: f64) -> String {
    match size {
        size if size >= 1e6 => format!("{}M", tick(size / 1e6)),
        size if size >= 1e3 => format!("{}k", tick(size / 1e3)),
        size => tick(size),
    }
}
