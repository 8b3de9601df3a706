//! Reproducible choices: a generator of pseudo-random numbers (SplitMix64), so that a seed fixes every choice.

/// A stream of choices.
#[derive(Clone, Debug)]
pub struct Choices(u64);

impl Choices {
    /// The stream with this number of this seed. Streams with different numbers are independent.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut choices = Self(seed ^ stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        // Seeds and numbers are small, and the first values would be similar.
        choices.next();
        choices.next();
        choices
    }

    /// The next number.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit`, without `limit`. 0 if the limit is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }

    /// A number from `first` to `last`, both included.
    pub fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// `true` in this percentage of calls.
    pub fn percent(&mut self, percentage: usize) -> bool {
        self.below(100) < percentage
    }

    /// `true` in this share of calls, in thousandths.
    pub fn per_mille(&mut self, share: usize) -> bool {
        self.below(1_000) < share
    }

    /// One of these values.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<'v, T>(&mut self, values: &'v [T]) -> &'v T {
        &values[self.below(values.len())]
    }

    /// One of these values, each as often as its weight says.
    ///
    /// # Panics
    /// When there is none.
    pub fn weighted<T: Copy>(&mut self, values: &[(usize, T)]) -> T {
        let mut rest = self.below(values.iter().map(|(weight, _)| weight).sum());
        for (weight, value) in values {
            if rest < *weight {
                return *value;
            }
            rest -= weight;
        }
        values[0].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_stream_fix_all_choices() {
        let numbers = |seed, stream| {
            let mut choices = Choices::new(seed, stream);
            (0..20).map(|_| choices.below(1_000)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(7, 1), numbers(7, 1));
        assert_ne!(numbers(7, 1), numbers(7, 2));
        assert_ne!(numbers(7, 1), numbers(8, 1));
    }

    #[test]
    fn weights_decide_how_often_a_value_is_chosen() {
        let mut choices = Choices::new(1, 1);
        let chosen: Vec<char> =
            (0..1_000).map(|_| choices.weighted(&[(1, 'a'), (0, 'b'), (9, 'c')])).collect();
        let count = |wanted| chosen.iter().filter(|value| **value == wanted).count();
        assert_eq!(count('b'), 0);
        assert!((50..200).contains(&count('a')), "{} of 1,000", count('a'));
    }
}
