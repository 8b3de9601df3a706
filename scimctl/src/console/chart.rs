//! Bar charts as inline SVG, with the same numbers as a table. The vertical axis begins at zero.

use maud::{Markup, html};

use super::page::{empty, table};

/// The size of the picture, in units of its view box.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
/// The room around the bars: for the numbers, the labels and the titles of the axes.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 8.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 48.0;
/// The most labels below the bars. More would overlap.
const MAX_LABELS: usize = 8;
/// The most lines of the grid, without the one at zero.
const MAX_LINES: u64 = 4;
/// The part of its room that a group of bars fills.
const FILLED: f64 = 0.8;

/// A chart of numbers at successive times.
pub struct Chart<'c> {
    /// The id in the page.
    pub id: &'static str,
    /// What the chart shows.
    pub title: &'c str,
    /// The unit of the numbers, which is the title of the vertical axis: `requests`.
    pub unit: &'c str,
    /// The title of the horizontal axis: `Hour (UTC)`.
    pub axis: &'c str,
    /// The label of each time.
    pub labels: &'c [String],
    /// The numbers: one for each label.
    pub series: &'c [Series],
    /// What stands where all numbers are 0.
    pub empty: &'c str,
}

/// Numbers of one kind.
pub struct Series {
    /// What is counted.
    pub name: &'static str,
    /// The numbers, in the order of the labels.
    pub values: Vec<u64>,
}

impl Chart<'_> {
    /// Draws the chart, its legend and its table, or says that there is nothing to draw.
    pub fn draw(&self) -> Markup {
        let highest = self.series.iter().flat_map(|series| &series.values).copied().max().unwrap_or_default();
        html! {
            section class="chart" {
                h2 { (self.title) }
                @if highest == 0 {
                    (empty(self.empty))
                } @else {
                    (self.legend())
                    // The table is a region with the title.
                    div class="plot" role="region" aria-label={ (self.title) ", as a chart" } tabindex="0" { (self.picture(highest)) }
                    details { summary { "Show the numbers as a table" } (self.table()) }
                }
            }
        }
    }

    fn legend(&self) -> Markup {
        html! {
            @if self.series.len() > 1 {
                ul class="legend" {
                    @for (number, series) in self.series.iter().enumerate() {
                        li {
                            svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true" {
                                rect class={ "bar bar-" (number) } x="1" y="1" width="12" height="12" {}
                            }
                            " " (series.name)
                        }
                    }
                }
            }
        }
    }

    fn picture(&self, highest: u64) -> Markup {
        let (step, top) = scale(highest);
        let bottom = HEIGHT - BOTTOM;
        let y = |value: u64| bottom - (bottom - TOP) * ratio(value, top);
        let room = (WIDTH - LEFT - RIGHT) / count(self.labels.len().max(1));
        let bar = room * FILLED / count(self.series.len().max(1));
        let left = |position: usize| LEFT + room * count(position);
        let every = self.labels.len().div_ceil(MAX_LABELS).max(1);
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby={ (self.id) "-title " (self.id) "-desc" } {
                title id={ (self.id) "-title" } { (self.title) }
                desc id={ (self.id) "-desc" } { (self.description(highest)) }
                text class="axis" x=(LEFT) y="14" text-anchor="start" { (self.unit) }
                @for value in (0..=top).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
                    line class=(if value == 0 { "base" } else { "grid" }) x1=(LEFT) x2=(WIDTH - RIGHT)
                        y1=(round(y(value))) y2=(round(y(value))) {}
                    text x=(LEFT - 8.0) y=(round(y(value) + 4.0)) text-anchor="end" { (value) }
                }
                @for (number, series) in self.series.iter().enumerate() {
                    @for (position, value) in series.values.iter().enumerate().filter(|(_, value)| **value > 0) {
                        rect class={ "bar bar-" (number) }
                            x=(round(left(position) + room * (1.0 - FILLED) / 2.0 + bar * count(number)))
                            y=(round(y(*value))) width=(round(bar)) height=(round(bottom - y(*value))) {
                            title { (self.label(position)) ": " (value) " " (series.name) }
                        }
                    }
                }
                @for (position, label) in self.labels.iter().enumerate().filter(|(position, _)| position % every == 0) {
                    text x=(round(left(position) + room / 2.0)) y=(bottom + 18.0) text-anchor="middle" { (label) }
                }
                text class="axis" x=((LEFT + WIDTH - RIGHT) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { (self.axis) }
            }
        }
    }

    /// What a screen reader says about the picture.
    fn description(&self, highest: u64) -> String {
        let totals =
            self.series.iter().map(|series| format!("{} {}", series.values.iter().sum::<u64>(), series.name));
        let totals: Vec<String> = totals.collect();
        let (first, last) = (self.label(0), self.label(self.labels.len().saturating_sub(1)));
        format!("Bars from {first} to {last}. In all: {}. The highest bar is {highest}.", totals.join(", "))
    }

    fn label(&self, position: usize) -> &str {
        self.labels.get(position).map(String::as_str).unwrap_or_default()
    }

    fn table(&self) -> Markup {
        let columns: Vec<&str> =
            std::iter::once(self.axis).chain(self.series.iter().map(|one| one.name)).collect();
        let row = |(position, label): (usize, &String)| {
            let values =
                self.series.iter().map(|series| series.values.get(position).copied().unwrap_or_default());
            std::iter::once(html! { (label) }).chain(values.map(|value| html! { (value) })).collect()
        };
        table(self.title, &columns, self.labels.iter().enumerate().map(row).collect(), "")
    }
}

/// The distance between the lines of the grid, and the number at the top: 1, 2 or 5 times a power of ten.
fn scale(highest: u64) -> (u64, u64) {
    let mut power: u64 = 1;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            let lines = highest.div_ceil(step);
            if lines <= MAX_LINES {
                return (step, step.saturating_mul(lines.max(1)));
            }
        }
        power = power.saturating_mul(10);
    }
}

/// A part of a whole, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a pixel is coarser")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[expect(clippy::cast_precision_loss, reason = "a chart has few bars")]
fn count(number: usize) -> f64 {
    number as f64
}

/// A coordinate with one digit, so that the picture is short.
fn round(coordinate: f64) -> f64 {
    (coordinate * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(labels: &[&str], series: Vec<Series>) -> String {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let chart = Chart {
            id: "errors",
            title: "Failed requests",
            unit: "requests",
            axis: "Hour (UTC)",
            labels: &labels,
            series: &series,
            empty: "No request failed.",
        };
        chart.draw().into_string()
    }

    #[test]
    fn scale_begins_at_zero_and_has_round_steps() {
        for (highest, expected) in [
            (1, (1, 1)),
            (4, (1, 4)),
            (5, (2, 6)),
            (9, (5, 10)),
            (40, (10, 40)),
            (41, (20, 60)),
            (999, (500, 1_000)),
            (1_000_000, (500_000, 1_000_000)),
        ] {
            assert_eq!(scale(highest), expected, "{highest}");
        }
        assert_eq!(scale(u64::MAX).1, u64::MAX);
    }

    #[test]
    fn bars_are_as_high_as_their_numbers_and_stand_on_zero() {
        let picture = draw(&["10", "11", "12"], vec![Series { name: "4xx", values: vec![0, 2, 4] }]);
        // The base is at 192, and the top at 26.
        let bars: Vec<&str> = picture.split("<rect").skip(1).collect();
        assert_eq!(bars.len(), 2, "{picture}");
        assert!(bars[0].contains("y=\"109\"") && bars[0].contains("height=\"83\""), "{}", bars[0]);
        assert!(bars[1].contains("y=\"26\"") && bars[1].contains("height=\"166\""), "{}", bars[1]);
        assert!(bars[1].contains("<title>12: 4 4xx</title>"), "{}", bars[1]);
    }

    #[test]
    fn picture_has_a_title_a_description_units_and_a_table() {
        let picture = draw(
            &["10", "<11>"],
            vec![Series { name: "joined", values: vec![3, 1] }, Series { name: "left", values: vec![0, 2] }],
        );
        for part in [
            "role=\"img\" aria-labelledby=\"errors-title errors-desc\"",
            "<title id=\"errors-title\">Failed requests</title>",
            "<desc id=\"errors-desc\">Bars from 10 to &lt;11&gt;. In all: 4 joined, 2 left. The highest bar is 3.</desc>",
            ">requests</text>",
            ">Hour (UTC)</text>",
            "<th scope=\"col\">joined</th><th scope=\"col\">left</th>",
            "<th scope=\"row\">&lt;11&gt;</th><td>1</td><td>2</td>",
            "<summary>Show the numbers as a table</summary>",
        ] {
            assert!(picture.contains(part), "{part}: {picture}");
        }
        assert!(!picture.contains("<11>"), "{picture}");
        assert_eq!(picture.matches("class=\"legend\"").count(), 1);
    }

    #[test]
    fn chart_without_numbers_says_so() {
        let picture = draw(&["10"], vec![Series { name: "4xx", values: vec![0] }]);
        assert!(picture.contains("No request failed.") && !picture.contains("<svg"), "{picture}");
    }

    #[test]
    fn few_labels_stand_below_many_bars() {
        let hours: Vec<String> = (0..24).map(|hour| format!("{hour:02}:00")).collect();
        let hours: Vec<&str> = hours.iter().map(String::as_str).collect();
        let picture = draw(&hours, vec![Series { name: "4xx", values: vec![1; 24] }]);
        assert_eq!(picture.matches(":00</text>").count(), 8);
        assert_eq!(picture.matches("<rect").count(), 24);
    }
}
