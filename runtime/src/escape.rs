//! Escapes characters that change how a terminal or a log viewer shows the text around them: control characters (a line end
//! begins a forged line), bidirectional controls, and characters without a width. Clients choose names and paths that have them.

/// Escapes such characters as in `\u{202e}`, and line ends as `\n`. The result is one line.
pub fn escape(text: &str) -> String {
    escape_except(text, |_| false)
}

/// Escapes as [`escape`] does, but keeps line ends. Each line must be known to be one of the program itself.
pub fn escape_lines(text: &str) -> String {
    escape_except(text, |c| c == '\n')
}

/// Escapes such characters in a JSON text as in `\u202e`. The text stays JSON with the same values. A serialiser has escaped
/// line ends in strings already, so those that the text has are kept.
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_deceptive(c) && c != '\n' {
            // RFC 8259 §7: a character outside the Basic Multilingual Plane is escaped as a surrogate pair.
            escaped.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

fn escape_except(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) && !is_kept(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether a character is a control character, a separator of lines, or has neither a glyph nor a width. The last are the
/// code points with the property `Default_Ignorable_Code_Point` of Unicode, and the interlinear annotations.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bidirectional_and_invisible_characters_are_escaped() {
        for (text, line, lines, json) in [
            ("Zoë 日本 a\u{301}\\", "Zoë 日本 a\u{301}\\", "Zoë 日本 a\u{301}\\", "Zoë 日本 a\u{301}\\"),
            ("a\nb\r\t", "a\\nb\\r\\t", "a\nb\\r\\t", "a\nb\\u000d\\u0009"),
            ("\u{1b}[2J\u{7f}", "\\u{1b}[2J\\u{7f}", "\\u{1b}[2J\\u{7f}", "\\u001b[2J\\u007f"),
            ("\u{9b}\u{2028}", "\\u{9b}\\u{2028}", "\\u{9b}\\u{2028}", "\\u009b\\u2028"),
            ("\u{202e}\u{2066}", "\\u{202e}\\u{2066}", "\\u{202e}\\u{2066}", "\\u202e\\u2066"),
            ("\u{200b}\u{feff}", "\\u{200b}\\u{feff}", "\\u{200b}\\u{feff}", "\\u200b\\ufeff"),
            ("\u{e0041}", "\\u{e0041}", "\\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(
                (escape(text), escape_lines(text), escape_json(text)),
                (line.into(), lines.into(), json.into())
            );
        }
    }
}
