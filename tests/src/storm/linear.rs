//! Checks whether the history of one register has an order: each step takes effect at one moment between its
//! request and its answer, and a step without an answer takes effect at any later moment or never
//! (linearizability, after Lowe, "Testing for linearizability", 2017).

use std::collections::HashSet;
use std::hash::Hash;

/// The most steps that can be open at the same time.
const MAX_OPEN: usize = 128;
/// The most configurations that the search visits for one step.
const MAX_CONFIGURATIONS: usize = 20_000;

/// What a step does to the state of a register.
pub trait Effect<S>: PartialEq {
    /// The possible states afterwards. None if the step is impossible in this state.
    fn states_after(&self, state: &S) -> [Option<S>; 2];

    /// Whether the step never changes the state.
    fn is_read(&self) -> bool;

    /// Whether it belongs to another step of the same request, which may be repeated.
    fn is_repetition(&self) -> bool {
        false
    }
}

/// A step in the history of a register.
#[derive(Clone, Debug)]
pub struct Step<E> {
    /// The time from which it can take effect.
    pub from: u64,
    /// The time until which it must have taken effect. `None` if it may take effect at any later time, or never.
    pub until: Option<u64>,
    /// What it does.
    pub effect: E,
    /// The position of its request in the history.
    pub record: usize,
}

/// Whether a history has an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<S> {
    /// It has one.
    Ordered,
    /// It has none: this step is impossible in all states that the register can have.
    Impossible {
        /// The position of the step.
        step: usize,
        /// The states that the register can have before it.
        states: Vec<S>,
    },
    /// The search was too large. The history is not checked.
    Undecided,
}

/// A state, and the open steps that have taken effect, as bits.
type Configuration<S> = (S, u128);

/// The open steps: the position of each step by its bit.
#[derive(Default)]
struct Open {
    steps: Vec<Option<usize>>,
}

impl Open {
    fn add(&mut self, step: usize) -> Option<usize> {
        if let Some(free) = self.steps.iter().position(Option::is_none) {
            self.steps[free] = Some(step);
            return Some(free);
        }
        self.steps.push(Some(step));
        (self.steps.len() <= MAX_OPEN).then_some(self.steps.len() - 1)
    }

    fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        self.steps.iter().enumerate().filter_map(|(bit, step)| Some((bit, (*step)?)))
    }
}

/// Checks a history. The register has one of the `initial` states at its beginning.
pub fn check<S: Clone + Eq + Hash, E: Effect<S>>(initial: &[S], steps: &[Step<E>]) -> Verdict<S> {
    let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(steps.len() * 2);
    for (index, step) in steps.iter().enumerate() {
        events.push((step.from, false, index));
        events.extend(step.until.map(|until| (until, true, index)));
    }
    // A beginning comes before an end at the same time, so that both overlap.
    events.sort_unstable();
    let mut open = Open::default();
    let mut bits = vec![0; steps.len()];
    let mut configurations: Vec<Configuration<S>> = initial.iter().map(|state| (state.clone(), 0)).collect();
    for (_, is_end, index) in events {
        if !is_end {
            let Some(bit) = open.add(index) else { return Verdict::Undecided };
            bits[index] = bit;
            let effect = &steps[index].effect;
            if effect.is_read() {
                for (state, done) in &mut configurations {
                    if effect.states_after(state)[0].is_some() {
                        *done |= 1 << bit;
                    }
                }
            }
            continue;
        }
        let mask = 1 << bits[index];
        let next = if configurations.iter().all(|(_, done)| done & mask != 0) {
            configurations.into_iter().map(|(state, done)| (state, done & !mask)).collect()
        } else {
            match expand(&configurations, steps, &open, mask) {
                None => return Verdict::Undecided,
                Some(next) if next.is_empty() => {
                    let mut states: Vec<S> = Vec::new();
                    for (state, _) in configurations {
                        if !states.contains(&state) {
                            states.push(state);
                        }
                    }
                    return Verdict::Impossible { step: index, states };
                }
                Some(next) => next,
            }
        };
        open.steps[bits[index]] = None;
        configurations = without_needless(next, steps, &open);
    }
    Verdict::Ordered
}

/// Lets open steps take effect in every order, until the one with this mask has. `None` if there are too many
/// configurations.
fn expand<S: Clone + Eq + Hash, E: Effect<S>>(
    configurations: &[Configuration<S>],
    steps: &[Step<E>],
    open: &Open,
    mask: u128,
) -> Option<Vec<Configuration<S>>> {
    let mut visited: HashSet<Configuration<S>> = configurations.iter().cloned().collect();
    let mut rest: Vec<Configuration<S>> = visited.iter().cloned().collect();
    let mut result = HashSet::new();
    while let Some((state, done)) = rest.pop() {
        if done & mask != 0 {
            result.insert((state, done & !mask));
            continue;
        }
        let mut tried: Vec<&E> = Vec::new();
        for (bit, index) in open.iter().filter(|(bit, _)| done & (1 << bit) == 0) {
            let step = &steps[index];
            if step.effect.is_read() {
                continue;
            }
            if step.until.is_none() {
                // Two steps without an answer that do the same are interchangeable: only the first is tried.
                if tried.contains(&&step.effect) {
                    continue;
                }
                tried.push(&step.effect);
            }
            for next in step.effect.states_after(&state).into_iter().flatten() {
                let mut done = done | (1 << bit);
                for (bit, read) in open.iter().filter(|(_, index)| steps[*index].effect.is_read()) {
                    if steps[read].effect.states_after(&next)[0].is_some() {
                        done |= 1 << bit;
                    }
                }
                if visited.len() > MAX_CONFIGURATIONS {
                    return None;
                }
                if visited.insert((next.clone(), done)) {
                    rest.push((next, done));
                }
            }
        }
    }
    Some(result.into_iter().collect())
}

/// Leaves out a configuration if another one differs from it only in this: fewer steps without an answer have taken
/// effect. Each continuation of the first is also possible from the second.
fn without_needless<S: Clone + Eq, E>(
    configurations: Vec<Configuration<S>>,
    steps: &[Step<E>],
    open: &Open,
) -> Vec<Configuration<S>> {
    let unanswered: u128 =
        open.iter().filter(|(_, index)| steps[*index].until.is_none()).map(|(bit, _)| 1 << bit).sum();
    let mut kept: Vec<Configuration<S>> = Vec::with_capacity(configurations.len());
    for (state, done) in configurations {
        let is_at_least_as_free = |free: u128, other: u128| {
            free & !unanswered == other & !unanswered && (free & unanswered) & !(other & unanswered) == 0
        };
        if kept.iter().any(|(other, free)| *other == state && is_at_least_as_free(*free, done)) {
            continue;
        }
        kept.retain(|(other, less_free)| *other != state || !is_at_least_as_free(done, *less_free));
        kept.push((state, done));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Number {
        Read(u8),
        Write(u8),
        Increment,
    }

    impl Effect<u8> for Number {
        fn states_after(&self, state: &u8) -> [Option<u8>; 2] {
            match self {
                Self::Read(value) => [(value == state).then_some(*state), None],
                Self::Write(value) => [Some(*value), None],
                Self::Increment => [Some(state + 1), None],
            }
        }

        fn is_read(&self) -> bool {
            matches!(self, Self::Read(_))
        }
    }

    /// The verdict on steps that are given by their beginning, their end and their effect.
    fn verdict(steps: &[(u64, Option<u64>, Number)]) -> Verdict<u8> {
        let step = |(record, (from, until, effect)): (usize, &(u64, Option<u64>, Number))| Step {
            from: *from,
            until: *until,
            effect: *effect,
            record,
        };
        check(&[0], &steps.iter().enumerate().map(step).collect::<Vec<_>>())
    }

    #[test]
    fn history_with_an_order_is_accepted() {
        use Number::{Increment, Read, Write};
        for steps in [
            vec![(1, Some(2), Read(0)), (3, Some(4), Write(1)), (5, Some(6), Read(1))],
            // A read that overlaps a write shows the value before or after it.
            vec![(1, Some(9), Write(1)), (2, Some(3), Read(0)), (4, Some(5), Read(1))],
            // A write without an answer takes effect late, or never.
            vec![(1, None, Write(1)), (2, Some(3), Read(0)), (4, Some(5), Read(1))],
            vec![(1, None, Write(1)), (2, Some(3), Read(0)), (4, Some(5), Read(0))],
            vec![(1, None, Write(1)), (2, Some(3), Write(2)), (4, Some(5), Read(2)), (6, Some(7), Read(1))],
            // Two increments at the same time.
            vec![(1, Some(9), Increment), (1, Some(9), Increment), (10, Some(11), Read(2))],
        ] {
            assert_eq!(verdict(&steps), Verdict::Ordered, "{steps:?}");
        }
    }

    #[test]
    fn history_without_an_order_is_refused_at_the_impossible_step() {
        use Number::{Increment, Read, Write};
        for (steps, step, states) in [
            // A write is lost.
            (vec![(1, Some(2), Write(1)), (3, Some(4), Read(0))], 1, vec![1]),
            // A value that was never written.
            (vec![(1, Some(2), Read(5))], 0, vec![0]),
            // A read goes back in time.
            (vec![(1, Some(9), Write(1)), (2, Some(3), Read(1)), (4, Some(5), Read(0))], 2, vec![1]),
            // A step without an answer takes effect twice.
            (
                vec![
                    (1, None, Write(1)),
                    (2, Some(3), Read(1)),
                    (4, Some(5), Write(2)),
                    (6, Some(7), Read(1)),
                ],
                3,
                vec![2],
            ),
            // One of two increments is lost.
            (vec![(1, Some(9), Increment), (1, Some(9), Increment), (10, Some(11), Read(1))], 2, vec![2]),
        ] {
            assert_eq!(verdict(&steps), Verdict::Impossible { step, states }, "{steps:?}");
        }
    }

    #[test]
    fn too_large_search_is_undecided() {
        let mut steps: Vec<_> = (0..130).map(|_| (1, None, Number::Increment)).collect();
        steps.push((2, Some(3), Number::Read(0)));
        assert_eq!(verdict(&steps), Verdict::Undecided);
    }
}
