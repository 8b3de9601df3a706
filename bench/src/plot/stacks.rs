//! A bar for each size, made of parts. Each panel begins at zero.

use std::path::Path;

use super::svg::{Anchor, FAINT_INK, GRID, INK, Picture};
use super::{Grid, MARGIN, scale, short, tick};

const HEADING: f64 = 24.0;
const HEIGHT: f64 = 180.0;
/// The room below the bars.
const FOOTER: f64 = 10.0;
/// The room for the numbers of the axis.
const NUMBERS: f64 = 42.0;
const BAR: f64 = 56.0;

/// A part of every bar: its name and its colour.
pub struct Part {
    /// The name.
    pub name: &'static str,
    /// The colour.
    pub colour: &'static str,
}

/// A panel with one bar.
pub struct StackPanel {
    /// The size.
    pub title: String,
    /// The parts, in dollars, in the order of [`Part`].
    pub dollars: Vec<f64>,
}

/// Draws the panels. Each has a scale of its own.
pub fn stacks(file: &Path, title: &str, sentence: &str, parts: &[Part], panels: &[StackPanel]) {
    let grid = Grid::new(panels.len().max(1), HEADING + HEIGHT + FOOTER);
    let mut picture = Picture::new(grid.height_of(panels.len()) + 24.0, title, sentence);
    for (number, panel) in panels.iter().enumerate() {
        let (left, top) = grid.place(number);
        let sum: f64 = panel.dollars.iter().sum();
        picture.bold((left, top + 12.0), 13.0, &panel.title);
        let (end, step) = scale(sum);
        let bottom = top + HEADING + HEIGHT;
        let y = |value: f64| bottom - (HEIGHT - 18.0) * value / end;
        let mut value = 0.0;
        while value <= end * 1.001 {
            let colour = if value == 0.0 { INK } else { GRID };
            picture.line(&[(left + NUMBERS, y(value)), (left + NUMBERS + BAR + 24.0, y(value))], 1.0, colour);
            let label = if end < 10.0 { format!("${value:.2}") } else { format!("${}", tick(value)) };
            picture.text((left + NUMBERS - 5.0, y(value) + 4.0), Anchor::End, FAINT_INK, &label);
            value += step;
        }
        let bar = left + NUMBERS + 12.0;
        let (mut below, mut last_label) = (0.0, f64::MAX);
        for (part, dollars) in parts.iter().zip(&panel.dollars) {
            let (from, to) = (y(below), y(below + dollars));
            picture.rectangle((bar, to), (BAR, from - to), part.colour);
            // The label of a thin part stands above the one below, not on it.
            last_label = ((from + to) / 2.0 + 4.0).min(last_label - 14.0);
            let place = (bar + BAR + 16.0, last_label);
            picture.text(place, Anchor::Start, INK, &format!("${}", short(*dollars)));
            below += dollars;
        }
        picture.text((bar + BAR / 2.0, y(sum) - 6.0), Anchor::Middle, INK, &format!("${}", short(sum)));
    }
    let y = grid.height_of(panels.len()) + 4.0;
    for (place, part) in parts.iter().enumerate() {
        let x = MARGIN + NUMBERS + 150.0 * place as f64;
        picture.rectangle((x, y), (12.0, 12.0), part.colour);
        picture.text((x + 18.0, y + 11.0), Anchor::Start, INK, part.name);
    }
    picture.write(file);
}
