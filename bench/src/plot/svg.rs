//! Writes SVG.

use std::fmt::Write as _;
use std::path::Path;

use super::{HEADER, MARGIN, WIDTH};

/// The colour of text and of axes.
pub const INK: &str = "#24292f";
/// The colour of less important text.
pub const FAINT_INK: &str = "#57606a";
/// The colour of the lines of a grid.
pub const GRID: &str = "#d8dee4";
/// The background colour.
const PAPER: &str = "#ffffff";

/// Where a text stands: it begins, has its middle, or ends at the given place.
#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture. The unit is a pixel, and y grows downwards.
pub struct Picture {
    height: f64,
    body: String,
}

impl Picture {
    /// Begins a picture with a title and a sentence below it.
    pub fn new(height: f64, title: &str, sentence: &str) -> Self {
        let mut picture = Self { height, body: String::new() };
        writeln!(picture.body, "<title>{}</title>", escaped(title)).expect("memory");
        picture.rectangle((0.0, 0.0), (WIDTH, height), PAPER);
        picture.bold((MARGIN, 26.0), 16.0, title);
        picture.text((MARGIN, HEADER - 18.0), Anchor::Start, FAINT_INK, sentence);
        picture
    }

    /// Draws a filled rectangle with this upper left corner and size.
    pub fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
        writeln!(
            self.body,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        )
        .expect("memory");
    }

    /// Draws a line through these points.
    pub fn line(&mut self, points: &[(f64, f64)], width: f64, colour: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        writeln!(
            self.body,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        )
        .expect("memory");
    }

    /// Draws a filled circle around this place.
    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64, colour: &str) {
        writeln!(self.body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"/>")
            .expect("memory");
    }

    /// Writes a text on the line through this place.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, colour: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{}</text>",
            escaped(text)
        )
        .expect("memory");
    }

    /// Writes a text around its middle. The paper around its letters hides the lines below.
    pub fn text_on_lines(&mut self, (x, y): (f64, f64), text: &str) {
        writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"{INK}\" stroke=\"{PAPER}\" stroke-width=\"3\" \
             paint-order=\"stroke\">{}</text>",
            escaped(text)
        )
        .expect("memory");
    }

    /// Writes a heading.
    pub fn bold(&mut self, (x, y): (f64, f64), size: f64, text: &str) {
        writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" font-weight=\"bold\" fill=\"{INK}\">{}</text>",
            escaped(text)
        )
        .expect("memory");
    }

    /// Writes the file.
    pub fn write(self, file: &Path) {
        let Self { height, body } = self;
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{WIDTH}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n{body}</svg>\n"
        );
        std::fs::write(file, svg).expect("the plot is written");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
