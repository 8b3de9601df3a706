//! Plots as SVG, made of small panels: one for each operation. The background is light in the dark scheme of the documentation too.

mod bars;
mod lines;
mod ranges;
mod stacks;
mod svg;

pub use bars::{Bar, BarPanel, bars};
pub use lines::{LinePanel, lines};
pub use ranges::{Range, RangePanel, ranges};
pub use stacks::{Part, StackPanel, stacks};

/// The width of every plot, about that of the text of a page, so that its letters are not made smaller.
const WIDTH: f64 = 720.0;
/// The room around the panels, and between them.
const MARGIN: f64 = 14.0;
/// The room above the panels for the title and a sentence.
const HEADER: f64 = 64.0;

/// Places panels of equal size in rows.
struct Grid {
    columns: usize,
    width: f64,
    height: f64,
}

impl Grid {
    fn new(columns: usize, height: f64) -> Self {
        let gaps = MARGIN * (columns as f64 + 1.0);
        Self { columns, width: (WIDTH - gaps) / columns as f64, height }
    }

    /// The left and the top of a panel.
    fn place(&self, number: usize) -> (f64, f64) {
        let (row, column) = (number / self.columns, number % self.columns);
        (MARGIN + (self.width + MARGIN) * column as f64, HEADER + (self.height + MARGIN) * row as f64)
    }

    /// The height of the whole plot.
    fn height_of(&self, panels: usize) -> f64 {
        HEADER + (self.height + MARGIN) * panels.div_ceil(self.columns) as f64
    }
}

/// The end of an axis that begins at zero, and the distance between its lines: at most four, at 1, 2 or 5 times a power of ten.
fn scale(highest: f64) -> (f64, f64) {
    let magnitude = 10_f64.powf(highest.max(1e-9).log10().floor() - 1.0);
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0].map(|factor| factor * magnitude);
    let step = steps.into_iter().find(|step| highest <= 4.0 * step).unwrap_or(highest);
    ((highest / step).ceil() * step, step)
}

/// Formats a number with commas between thousands.
pub fn grouped(value: f64) -> String {
    if value < 10.0 {
        return short(value);
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats a number with about three significant digits.
pub fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Formats a number of an axis without needless zeros: `0`, `0.5`, `20`, `1,000`.
fn tick(value: f64) -> String {
    if value >= 1_000.0 {
        return grouped(value);
    }
    trimmed(format!("{value:.2}"))
}

/// Removes zeros after a decimal point: `2.50` is `2.5`, and `3.00` is `3`.
fn trimmed(number: String) -> String {
    if !number.contains('.') {
        return number;
    }
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_has_at_most_four_lines_and_ends_above_the_highest_value() {
        for (highest, end, step) in [
            (0.4, 0.4, 0.1),
            (0.41, 0.6, 0.2),
            (1.0, 1.0, 0.5),
            (9.0, 10.0, 5.0),
            (27.0, 30.0, 10.0),
            (8_398.0, 10_000.0, 5_000.0),
        ] {
            let (found_end, found_step) = scale(highest);
            assert!(
                (found_end - end).abs() < 1e-9 && (found_step - step).abs() < 1e-9,
                "{highest}: {found_end}, {found_step}"
            );
        }
    }

    #[test]
    fn numbers_of_an_axis_have_no_needless_zeros() {
        let numbers = [0.0, 0.5, 0.25, 20.0, 1_000.0, 1_000_000.0].map(tick);
        assert_eq!(numbers, ["0", "0.5", "0.25", "20", "1,000", "1,000,000"]);
    }
}
