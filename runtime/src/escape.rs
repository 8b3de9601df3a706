//! Escapes characters that change how a terminal or a log viewer shows the text around them: control characters (a line end
//! begins a forged line), bidirectional controls, and invisible characters. Clients choose names and paths that have them.

/// Escapes such characters as in `\u{202e}`, and line ends as `\n`. The result is one line.
pub fn escape(text: &str) -> String {
    escape_except(text, |_| false)
}

/// Escapes as [`escape`] does, but keeps line ends. Use it only for text whose line ends the program wrote, not a client.
pub fn escape_lines(text: &str) -> String {
    escape_except(text, |c| c == '\n')
}

/// Escapes such characters in a JSON text as in `\u202e`. The text stays JSON with the same values. Line ends are kept: inside
/// strings, the serialiser has already escaped them.
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

/// Whether a character is a control character, a line or paragraph separator, an interlinear annotation, or invisible (the
/// Unicode property `Default_Ignorable_Code_Point`).
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
