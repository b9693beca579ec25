//! Escaping of foreign text for log lines and terminals.

use std::fmt;

/// Shows a text with everything escaped that would end its line, command a terminal, or reorder the line.
///
/// Control characters, the separators U+2028 and U+2029, and the controls of writing direction appear as escapes such as
/// `\n` and `\u{202e}`. Everything else stays as it is. The log does this to every message and value.
///
/// ```
/// use agora_chat::logger::Escaped;
///
/// assert_eq!(Escaped("a\nb\u{202e}c").to_string(), r"a\nb\u{202e}c");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plain = self.0;
        while let Some((at, c)) = plain.char_indices().find(|(_, c)| must_be_escaped(*c)) {
            let (before, rest) = plain.split_at(at);
            f.write_str(before)?;
            write!(f, "{}", c.escape_default())?;
            plain = rest.get(c.len_utf8()..).unwrap_or_default();
        }
        f.write_str(plain)
    }
}

/// Returns whether a character acts on a line or terminal instead of being printed.
pub(crate) fn must_be_escaped(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn what_acts_on_a_line_or_a_terminal_is_escaped_and_the_rest_stays() {
        let acts = "\0\n\r\t\u{1b}\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}";
        for c in acts.chars() {
            let shown = Escaped(&format!("a{c}b")).to_string();
            assert!(shown.is_ascii() && shown.starts_with("a\\") && shown.ends_with('b'), "{shown}");
        }
        for plain in ["", "hello", "\u{e4}\u{4f60}\u{1f600}", "a\\b \"c\"", "\u{200d}\u{200b}"] {
            assert_eq!(Escaped(plain).to_string(), plain);
        }
    }
}
