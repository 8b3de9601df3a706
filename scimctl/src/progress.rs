//! Progress bars of commands that take long.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;

/// Makes a progress bar on standard error. It is drawn only on a terminal.
pub fn progress_bar(label: &str, total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64).with_message(label.to_owned());
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Waits, and shows the seconds as a progress bar.
pub async fn wait(label: &str, time: SignedDuration) {
    let seconds = u64::try_from(time.as_secs()).unwrap_or_default();
    if time.is_positive() {
        let bar = progress_bar(label, seconds as usize + 1);
        for _ in 0..=seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
}
