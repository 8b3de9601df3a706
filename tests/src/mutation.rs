//! Random mutations of example inputs, from a seed.

use serde_json::{Map, Value, json};

/// Texts that the parsers treat in a special way.
const TOKENS: &[&str] = &[
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    ":",
    ",",
    ".",
    " ",
    "\n",
    "\t",
    "=",
    "/",
    "-",
    "$",
    "and",
    "or",
    "not (",
    "eq",
    "pr",
    "true",
    "null",
    "urn:",
    "urn:ietf:params:scim:schemas:core:2.0:User:",
    "bulkId:",
    "\"bulkId:",
    "emails[",
    "].value",
    "schemas",
    "Operations",
    "1e999",
    "-0",
    "9223372036854775808",
    "é",
    "e\u{301}",
    "İ",
    "\u{0}",
    "\u{10ffff}",
];

/// A generator of random numbers (SplitMix64). A run can be repeated from its seed.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Starts with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, or 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or_default()
    }

    fn choose<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }

    /// Makes a new input from examples: one of them with one to eight changes.
    pub fn mutate(&mut self, examples: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.choose(examples).clone();
        for _ in 0..=self.below(8) {
            // Random bytes rarely are JSON, so half of the changes keep the structure.
            if self.below(2) == 0
                && let Ok(mut value) = serde_json::from_slice::<Value>(&input)
            {
                self.change_value(&mut value, examples);
                input = value.to_string().into_bytes();
            } else {
                self.change_bytes(&mut input, examples);
            }
        }
        input
    }

    fn change_bytes(&mut self, input: &mut Vec<u8>, examples: &[Vec<u8>]) {
        let start = self.below(input.len());
        let end = (start + self.below(32)).min(input.len());
        match self.below(6) {
            0 => {
                if let Some(byte) = input.get_mut(start) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => drop(input.drain(start..end)),
            2 => {
                let copied = input[start..end].to_vec();
                let copies = 1 + self.below(20);
                input.splice(start..start, copied.repeat(copies));
            }
            3 => {
                let other = self.choose(examples);
                let from = self.below(other.len());
                let to = (from + self.below(64)).min(other.len());
                input.splice(start..end, other[from..to].iter().copied());
            }
            _ => drop(input.splice(start..start, self.choose(TOKENS).bytes())),
        }
    }

    /// Changes one value in a JSON value.
    fn change_value(&mut self, value: &mut Value, examples: &[Vec<u8>]) {
        let goes_deeper = self.below(4) > 0;
        match value {
            Value::Array(values) if goes_deeper && !values.is_empty() => {
                let index = self.below(values.len());
                self.change_value(&mut values[index], examples);
            }
            Value::Object(values) if goes_deeper && !values.is_empty() => {
                let index = self.below(values.len());
                if let Some(inner) = values.values_mut().nth(index) {
                    self.change_value(inner, examples);
                }
            }
            Value::Array(values) if !values.is_empty() => {
                let copied = self.choose(values).clone();
                let copies = self.below(20);
                values.extend(std::iter::repeat_n(copied, copies));
            }
            Value::Object(values) if !values.is_empty() => {
                let index = self.below(values.len());
                let name = values.keys().nth(index).cloned().unwrap_or_default();
                let inner = values.remove(&name).unwrap_or_default();
                let name =
                    if self.below(2) == 0 { name.to_uppercase() } else { (*self.choose(TOKENS)).to_owned() };
                values.insert(name, inner);
            }
            Value::String(text) if self.below(2) == 0 => {
                let mut bytes = std::mem::take(text).into_bytes();
                self.change_bytes(&mut bytes, examples);
                *text = String::from_utf8_lossy(&bytes).into_owned();
            }
            other => *other = self.any_value(),
        }
    }

    fn any_value(&mut self) -> Value {
        let token = *self.choose(TOKENS);
        match self.below(8) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.next() as i64),
            3 => json!(-0.5),
            4 => json!([]),
            5 => Value::Object(Map::from_iter([(token.to_owned(), json!([{ "value": token }]))])),
            _ => json!(token),
        }
    }
}
