//! The heads of answers, as RFC 9110 and 9112 have them.

use std::fmt::Write as _;

/// The most bytes that the heads of one answer have together, the interim ones included.
pub(super) const LONGEST: usize = 64 * 1024;

const LINES: usize = 256;

/// The most lines of one name that are passed on, where the field is no list.
const REPEATED: usize = 4;

/// Fields of a head that are passed on: those that this crate reads.
const KEPT: [&str; 5] = ["content-encoding", "content-type", "date", "location", "retry-after"];

/// End of an answer's body (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilEnd,
}

#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) framing: Framing,
    pub(super) keeps: bool,
    fields: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) String);

/// Returns the length of the empty lines before a head: some servers end a body with one too many.
pub(super) fn blank(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// Returns whether bytes may still become the head of an HTTP/1 answer.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";

    bytes.iter().zip(START).all(|(byte, wanted)| byte == wanted)
}

/// Returns the length of a head with its empty line; `searched` bytes are known not to hold its end.
pub(super) fn length(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let ends = bytes.get(from..)?.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| from + at + 1).find_map(|end| match bytes.get(end..)? {
        [b'\r', b'\n', ..] => Some(end + 2),
        [b'\n', ..] => Some(end + 1),
        _ => None,
    })
}

impl Head {
    /// Reads a head that is there as a whole; `bodiless` where the request allows the answer no body.
    pub(super) fn parse(bytes: &[u8], bodiless: bool) -> Result<Self, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; LINES];
        let mut response = httparse::Response::new(&mut headers);
        let mut parser = httparse::ParserConfig::default();
        parser
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_multiple_spaces_in_response_status_delimiters(true)
            .ignore_invalid_headers_in_responses(true);
        match parser.parse_response(&mut response, bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(Malformed("its head is cut off".to_owned())),
            Err(error) => return Err(Malformed(format!("it is not HTTP: {error}"))),
        }
        let status = response.code.unwrap_or(0);
        if status < 100 {
            return Err(Malformed(format!("its status is {status}")));
        }
        let fields = Fields(response.headers);
        // A line that was passed over or folded: what it said of the connection is not known.
        let strange = bytes.iter().filter(|byte| **byte == b'\n').count() != fields.0.len() + 2;
        let closes = fields.list("connection").any(|option| option.eq_ignore_ascii_case("close"));
        let old = response.version == Some(0);
        let (framing, clear) = framing(status, bodiless, &fields)?;
        let keeps = clear && !strange && !closes && !old && framing != Framing::UntilEnd && status != 101;
        Ok(Head { status, framing, keeps, fields: fields.kept() })
    }

    /// Returns whether another head follows (RFC 9110 §15.2). After 101 comes another protocol.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// Returns the head in the one form that the client above reads without a doubt.
    pub(super) fn canonical(&self, keeps: bool) -> Vec<u8> {
        // What ends with the connection is only known to it as of the old version.
        let version = if self.framing == Framing::UntilEnd { "1.0" } else { "1.1" };
        let mut text = format!("HTTP/{version} {} \r\n{}", self.status, self.fields);
        match self.framing {
            // Writing to a text cannot fail.
            Framing::Length(length) => drop(write!(text, "content-length: {length}\r\n")),
            Framing::Chunked => text.push_str("transfer-encoding: chunked\r\n"),
            Framing::UntilEnd => {}
        }
        if !keeps {
            text.push_str("connection: close\r\n");
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// Returns the body's end, and whether that was said without contradiction.
fn framing(status: u16, bodiless: bool, fields: &Fields<'_, '_>) -> Result<(Framing, bool), Malformed> {
    if bodiless || matches!(status, 100..200 | 204 | 304) {
        return Ok((Framing::Length(0), true));
    }
    let mut chunked = 0;
    for coding in fields.list("transfer-encoding") {
        let coding = coding.split(';').next().unwrap_or_default().trim();
        if coding.eq_ignore_ascii_case("chunked") {
            chunked += 1;
        } else if !coding.eq_ignore_ascii_case("identity") {
            return Err(Malformed(format!("its transfer coding `{}` was not asked for", shown(coding))));
        }
    }
    let mut length = None;
    for value in fields.list("content-length") {
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        let value = value.parse().ok().filter(|_| digits);
        match (value, length) {
            // The chunks count (RFC 9112 §6.3), but one of the two is wrong.
            _ if chunked > 0 => {}
            (Some(value), None) => length = Some(value),
            (Some(value), Some(known)) if value == known => {}
            (Some(_), Some(_)) => return Err(Malformed("it has several lengths".to_owned())),
            (None, _) => return Err(Malformed("its length is no number".to_owned())),
        }
    }
    if chunked > 0 {
        let clear = chunked == 1 && !fields.has("content-length");
        return Ok((Framing::Chunked, clear));
    }
    // A line without a value says nothing of the length.
    Ok(length.map_or((Framing::UntilEnd, true), |length| (Framing::Length(length), true)))
}

pub(super) fn shown(name: &str) -> String {
    name.chars().take(32).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

struct Fields<'a, 'b>(&'a [httparse::Header<'b>]);

impl<'b> Fields<'_, 'b> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    }

    fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// Returns the members of a field, whose lines are one list (RFC 9110 §5.3); empty ones do not count.
    fn list(&self, name: &str) -> impl Iterator<Item = &'b str> {
        // What is not a text is no member that anything is known of.
        let lines = self.values(name).map(|value| std::str::from_utf8(value).unwrap_or("?"));
        lines.flat_map(|line| line.split(',')).map(str::trim).filter(|member| !member.is_empty())
    }

    fn kept(&self) -> String {
        let mut kept = String::new();
        for name in KEPT {
            let mut add = |value: &str| {
                // A folded line is one with blanks (RFC 9112 §5.2), and other control characters stand in none.
                let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                // Writing to a text cannot fail.
                let _ = write!(kept, "{name}: {}\r\n", value.trim());
            };
            if name == "content-encoding" {
                let all: Vec<_> = self.list(name).collect();
                if !all.is_empty() {
                    add(&all.join(", "));
                }
            } else {
                self.values(name).take(REPEATED).for_each(|value| add(&String::from_utf8_lossy(value)));
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, Head, blank, is_plausible, length};

    fn head(lines: &str) -> Result<Head, String> {
        Head::parse(format!("HTTP/1.1 200 x\r\n{lines}\r\n").as_bytes(), false).map_err(|error| error.0)
    }

    fn framing(lines: &str) -> Result<(Framing, bool), String> {
        head(lines).map(|head| (head.framing, head.keeps))
    }

    #[test]
    fn lines_of_one_name_are_one_list() {
        let (length, chunked, end) = (Framing::Length(5), Framing::Chunked, Framing::UntilEnd);
        for (lines, wanted) in [
            ("Content-Length: 5\r\n", (length, true)),
            ("Content-Length: 5\r\ncontent-length: 5, 5\r\n", (length, true)),
            ("Transfer-Encoding: chunked\r\n", (chunked, true)),
            ("Transfer-Encoding: identity\r\nTransfer-Encoding: , CHUNKED ;q=1\r\n", (chunked, true)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", (chunked, false)),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\nContent-Length: 6\r\n", (chunked, false)),
            ("Content-Length: 5\r\nConnection: keep-alive\r\nConnection: x, Close\r\n", (length, false)),
            ("Content-Length : 5\r\n", (length, true)),
            ("Content-Length: 5\r\nX Y: z\r\n", (length, false)),
            ("Content-Length: 5\r\nX-Folded: y\r\n  z\r\n", (length, false)),
            ("Transfer-Encoding: identity\r\n", (end, false)),
            ("Content-Length:\r\n", (end, false)),
            ("", (end, false)),
        ] {
            assert_eq!(framing(lines), Ok(wanted), "{lines:?}");
        }
    }

    #[test]
    fn lengths_that_disagree_or_are_no_numbers_and_codings_not_asked_for_are_refused() {
        for (lines, why) in [
            ("Content-Length: 5\r\nContent-Length: 6\r\n", "several lengths"),
            ("Content-Length: 5, 6\r\n", "several lengths"),
            ("Content-Length: +5\r\n", "no number"),
            ("Content-Length: -1\r\n", "no number"),
            ("Content-Length: 5 5\r\n", "no number"),
            ("Content-Length: 0x5\r\n", "no number"),
            ("Content-Length: 18446744073709551616\r\n", "no number"),
            ("Content-Length: \u{fc}\r\n", "no number"),
            ("Transfer-Encoding: gzip, chunked\r\n", "`gzip`"),
            ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "`gzip`"),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: br\r\n", "`br`"),
        ] {
            let failed = framing(lines).unwrap_err();
            assert!(failed.contains(why), "{lines:?}: {failed}");
        }
    }

    #[test]
    fn an_answer_that_can_have_no_body_has_none_whatever_it_says() {
        for status in [204, 304] {
            let text = format!("HTTP/1.1 {status} x\r\nContent-Length: 5\r\n\r\n");
            let head = Head::parse(text.as_bytes(), false).unwrap();
            assert_eq!((head.framing, head.is_interim()), (Framing::Length(0), false));
            assert!(!String::from_utf8(head.canonical(true)).unwrap().contains(": 5"));
        }
        let text = b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(Head::parse(text, true).unwrap().framing, Framing::Length(0));
        let switching = Head::parse(b"HTTP/1.1 101 x\r\n\r\n", false).unwrap();
        assert_eq!((switching.is_interim(), switching.keeps), (false, false));
        assert!(Head::parse(b"HTTP/1.1 199 x\r\n\r\n", false).unwrap().is_interim());
    }

    #[test]
    fn what_is_read_above_is_passed_on_and_nothing_else() {
        let lines = "Set-Cookie: a=b\r\nRetry-After: 5\r\nX: y\r\nretry-after: 7\r\nContent-Encoding: gzip\r\n\
                     CONTENT-ENCODING: br\r\nContent-Length: 3\r\nLocation: /a\r\n b\r\n";
        let text = String::from_utf8(head(lines).unwrap().canonical(false)).unwrap();
        assert_eq!(
            text,
            "HTTP/1.1 200 \r\ncontent-encoding: gzip, br\r\nlocation: /a   b\r\nretry-after: 5\r\nretry-after: 7\r\n\
             content-length: 3\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(head("").unwrap().canonical(false), b"HTTP/1.0 200 \r\nconnection: close\r\n\r\n");
    }

    #[test]
    fn status_lines_are_read_as_servers_write_them() {
        for line in ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.0  200  OK", "HTTP/1.1 200 \u{fc}ber"] {
            let text = format!("{line}\r\nContent-Length: 1\n\r\n");
            assert_eq!(Head::parse(text.as_bytes(), false).map(|head| head.status).unwrap(), 200, "{line}");
        }
        for line in ["HTTP/2 200 OK", "HTTP/1.1 099 x", "HTTP/1.1 20 x", "HTTP/1.1", "ICY 200 OK"] {
            assert!(Head::parse(format!("{line}\r\n\r\n").as_bytes(), false).is_err(), "{line}");
        }
        assert!(is_plausible(b"") && is_plausible(b"HTT") && is_plausible(b"HTTP/1.1 2") && !is_plausible(b"SSH-2"));
    }

    #[test]
    fn the_end_of_a_head_is_found_however_its_bytes_come() {
        for text in ["HTTP/1.1 200 x\r\nA: b\r\n\r\n", "HTTP/1.1 200 x\nA: b\n\n", "HTTP/1.1 200 x\r\n\n"] {
            let bytes = [text.as_bytes(), b"\r\n\r\nbody"].concat();
            for cut in 0..text.len() {
                assert_eq!(length(&bytes[..cut], 0), None, "{text:?} {cut}");
                assert_eq!(length(&bytes, cut), Some(text.len()), "{text:?} {cut}");
            }
        }
        assert_eq!(blank(b"\r\n\nHTTP"), 3);
    }
}
