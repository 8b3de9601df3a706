//! Broken rules.

use super::linear::Step;

/// A broken rule.
#[derive(Clone, Debug)]
pub struct Violation {
    /// What is wrong.
    pub what: String,
    /// The register, if it is about one.
    pub register: Option<String>,
    /// The positions of the requests that concern the register, with what each means for it.
    pub records: Vec<(usize, String)>,
    /// The position of the request that cannot be explained.
    pub at: Option<usize>,
}

impl Violation {
    /// A violation that no register has.
    pub fn general(what: String) -> Self {
        Self { what, register: None, records: Vec::new(), at: None }
    }
}

/// The requests of these steps, with what they do.
pub fn described<E: std::fmt::Debug>(steps: &[Step<E>]) -> Vec<(usize, String)> {
    let describe = |step: &Step<E>| {
        let certainty = if step.until.is_some() { "" } else { " at a later time, or never" };
        (step.record, format!("{:?}{certainty}", step.effect))
    };
    steps.iter().map(describe).collect()
}
