//! Plots as SVG.

use std::path::Path;

use plotters::prelude::*;

const SIZE: (u32, u32) = (960, 520);
const COLOURS: [RGBColor; 8] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 39, 40),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
    RGBColor(148, 103, 189),
    RGBColor(23, 190, 207),
    RGBColor(140, 86, 75),
    RGBColor(127, 127, 127),
];

/// The name and the points of a line.
pub type Series<'a> = (&'a str, Vec<(f64, f64)>);

/// Draws lines. Both axes are logarithmic, so a constant value is a level line.
pub fn lines(file: &Path, title: &str, y: &str, series: &[Series<'_>]) {
    let points = || series.iter().flat_map(|(_, points)| points.iter());
    let (left, right) = range(points().map(|point| point.0));
    let (low, high) = range(points().map(|point| point.1));
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).expect("a plot");
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .margin_right(250)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d((left..right).log_scale(), (low / 1.5..high * 1.5).log_scale())
        .expect("a plot");
    chart
        .configure_mesh()
        .x_desc("users")
        .y_desc(y)
        .x_label_formatter(&|value| grouped(*value))
        .y_label_formatter(&|value| short(*value))
        .light_line_style(WHITE)
        .draw()
        .expect("a plot");
    // Names are at the ends of the lines. Move them apart if they would overlap.
    let mut ends: Vec<(i32, &str, RGBColor)> = Vec::new();
    for ((name, points), colour) in series.iter().zip(COLOURS.into_iter().cycle()) {
        chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2))).expect("a plot");
        let dots = points.iter().map(|point| Circle::new(*point, 3, colour.filled()));
        chart.draw_series(dots).expect("a plot");
        let end = points.last().copied().expect("a point");
        ends.push((chart.backend_coord(&end).1, name, colour));
    }
    ends.sort_by_key(|(y, ..)| *y);
    let mut lowest = i32::MIN / 2;
    let x = chart.backend_coord(&(right, low)).0 + 10;
    for (y, name, colour) in ends {
        let y = y.max(lowest + 17);
        lowest = y;
        let style = ("sans-serif", 14).into_font().color(&colour);
        area.draw(&Text::new(name.to_owned(), (x, y - 8), style)).expect("a plot");
    }
    area.present().expect("the plot is written");
}

/// Draws a group of bars for each name, with one bar for each series. The scale is logarithmic.
pub fn bars(file: &Path, title: &str, names: &[&str], series: &[(&str, Vec<Option<f64>>)]) {
    let values = || series.iter().flat_map(|(_, values)| values.iter().flatten().copied());
    let (low, high) = range(values());
    let low = low / 2.0;
    let (across, down) = (names.len() as f64, series.len() as f64);
    let height = 96 + 62 * names.len() as u32;
    let area = SVGBackend::new(file, (SIZE.0, height)).into_drawing_area();
    area.fill(&WHITE).expect("a plot");
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .margin_bottom(36)
        .x_label_area_size(40)
        .y_label_area_size(270)
        .build_cartesian_2d((low..high * 3.0).log_scale(), across..0.0)
        .expect("a plot");
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_desc("requests per second")
        .x_label_formatter(&|value| grouped(*value))
        .y_labels(0)
        .light_line_style(WHITE)
        .draw()
        .expect("a plot");
    for (row, name) in names.iter().enumerate() {
        let (_, y) = chart.backend_coord(&(low, row as f64 + 0.5));
        let style = ("sans-serif", 14).into_font();
        area.draw(&Text::new((*name).to_owned(), (16, y - 8), style)).expect("a plot");
        for (place, ((_, values), colour)) in series.iter().zip(COLOURS).enumerate() {
            let top = row as f64 + 0.1 + 0.8 * place as f64 / down;
            let label = ("sans-serif", 12).into_font().color(&colour);
            let (end, label_text) = match values[row] {
                Some(value) => {
                    let bar = Rectangle::new([(low, top), (value, top + 0.7 / down)], colour.filled());
                    chart.draw_series([bar]).expect("a plot");
                    (value, grouped(value))
                }
                None => (low, "not measured".to_owned()),
            };
            let (x, y) = chart.backend_coord(&(end, top));
            area.draw(&Text::new(label_text, (x + 4, y), label)).expect("a plot");
        }
    }
    for (place, ((name, _), colour)) in series.iter().zip(COLOURS).enumerate() {
        let style = ("sans-serif", 14).into_font().color(&colour);
        let below = (290 + 170 * place as i32, height as i32 - 28);
        area.draw(&Text::new((*name).to_owned(), below, style)).expect("a plot");
    }
    area.present().expect("the plot is written");
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, 0.0), |(low, high), value| (low.min(value), high.max(value)))
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
