//! Filters (RFC 7644 §3.4.2.2), in three steps: [`Filter::parse`] reads the text, [`Filter::resolve`] binds it to a
//! schema, [`ResolvedFilter::matches`] evaluates it on a resource.

mod evaluate;
mod expression;
mod parse;
mod resolve;

pub use expression::{Expression, Filter, Literal, Operator};
pub(crate) use resolve::accepts_name_parts_without_their_parent;
pub use resolve::{Field, Node, Operand, ResolvedFilter};

pub(crate) use parse::Parser;

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// Folds text for comparison: composed (NFC), and in lower case unless the attribute is case-exact. Filters,
/// indexes and sorting all compare folded text.
pub fn fold(text: &str, case_exact: bool) -> Cow<'_, str> {
    if text.is_ascii() {
        let is_folded = case_exact || !text.bytes().any(|byte| byte.is_ascii_uppercase());
        return if is_folded { Cow::Borrowed(text) } else { Cow::Owned(text.to_ascii_lowercase()) };
    }
    if case_exact {
        return if is_nfc(text) { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) };
    }
    // The lower case of composed text can be decomposed, as with İ. So it is composed again.
    Cow::Owned(text.nfc().flat_map(char::to_lowercase).nfc().collect())
}

/// Folds a unique name for comparison, without the spaces at both ends: people cannot see them, so twins like `"X"` and `"X "`
/// would look alike in policies.
pub fn fold_name(text: &str, case_exact: bool) -> Cow<'_, str> {
    fold(text.trim(), case_exact)
}

#[cfg(test)]
mod tests {
    use super::{fold, fold_name};

    #[test]
    fn names_are_folded_without_spaces_at_both_ends() {
        for (text, expected) in [("Ann ", "ann"), ("\u{a0}\tAnn  Lee\n", "ann  lee"), (" ", "")] {
            assert_eq!(fold_name(text, false), expected, "{text:?}");
        }
    }

    #[test]
    fn text_is_composed_and_lowercased_unless_case_exact() {
        for (text, case_exact, expected) in [
            ("Ann", false, "ann"),
            ("Ann", true, "Ann"),
            ("E\u{301}lan", false, "\u{e9}lan"),
            ("E\u{301}lan", true, "\u{c9}lan"),
            ("\u{c9}LAN", false, "\u{e9}lan"),
            ("ΣΑΣ", false, "σασ"),
            ("", false, ""),
        ] {
            assert_eq!(fold(text, case_exact), expected, "{text:?}");
            assert_eq!(fold(&fold(text, case_exact), case_exact), expected, "{text:?} twice");
        }
    }
}
