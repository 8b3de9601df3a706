//! Horizontal bars that begin at zero, one for each server.

use std::path::Path;

use super::svg::{Anchor, FAINT_INK, INK, Picture};
use super::{Grid, grouped};

const HEADING: f64 = 26.0;
const ROW: f64 = 19.0;
/// The room for the names of the bars, and for the numbers at their ends.
const NAMES: f64 = 126.0;
const NUMBERS: f64 = 54.0;

/// A panel.
pub struct BarPanel {
    /// What is measured.
    pub title: String,
    /// Its bars.
    pub bars: Vec<Bar>,
}

/// A bar.
pub struct Bar {
    /// What was measured.
    pub name: String,
    /// The colour of the bar.
    pub colour: &'static str,
    /// The length. Without it, the panel says that there is no measurement.
    pub value: Option<f64>,
}

/// Draws the panels. Each has a scale of its own.
pub fn bars(file: &Path, title: &str, sentence: &str, panels: &[BarPanel]) {
    let rows = panels.iter().map(|panel| panel.bars.len()).max().unwrap_or_default();
    let grid = Grid::new(2, HEADING + ROW * rows as f64);
    let mut picture = Picture::new(grid.height_of(panels.len()), title, sentence);
    for (number, panel) in panels.iter().enumerate() {
        let (left, top) = grid.place(number);
        picture.bold((left, top + 14.0), 13.0, &panel.title);
        let (zero, longest) = (left + NAMES, grid.width - NAMES - NUMBERS);
        let highest = panel.bars.iter().filter_map(|bar| bar.value).fold(0.0, f64::max);
        for (row, bar) in panel.bars.iter().enumerate() {
            let y = top + HEADING + ROW * row as f64;
            let (end, number) = match bar.value {
                Some(value) => {
                    let length = longest * value / highest;
                    picture.rectangle((zero, y), (length, ROW - 5.0), bar.colour);
                    (zero + length, grouped(value))
                }
                None => (zero, "not measured".to_owned()),
            };
            picture.text((zero - 8.0, y + 11.0), Anchor::End, INK, &bar.name);
            let ink = if bar.value.is_some() { INK } else { FAINT_INK };
            picture.text((end + 5.0, y + 11.0), Anchor::Start, ink, &number);
        }
        let bottom = top + HEADING + ROW * panel.bars.len() as f64 - 3.0;
        picture.line(&[(zero, top + HEADING - 3.0), (zero, bottom)], 1.0, INK);
    }
    picture.write(file);
}
