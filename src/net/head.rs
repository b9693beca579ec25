//! Head of an HTTP/1.1 answer, read from a socket that changes protocol after it.

use bytes::{Buf, BytesMut};

/// Longest head of an answer, in bytes, including interim answers before it.
pub(super) const LONGEST: usize = 16 * 1024;

/// Most interim answers before a final one.
const MOST_INTERIM: usize = 16;

/// Most header lines of one head.
const MOST_LINES: usize = 100;

/// Finds the final answer behind any interim ones (RFC 9110 §15.2: a client must be able to skip them).
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// Number of bytes examined before.
    known: usize,
    interim: usize,
    skipped: usize,
}

/// A whole head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Its length in bytes, including the empty line.
    pub(super) length: usize,
    lines: Vec<(String, Vec<u8>)>,
}

impl Heads {
    /// Reads the head of the final answer once it is whole, and removes the interim ones before it from the bytes.
    ///
    /// `is_final` tells whether a status below 200 ends the exchange.
    ///
    /// # Errors
    /// The fault of the answer, worded to follow "the answer".
    pub(super) fn read(
        &mut self,
        answer: &mut BytesMut,
        is_final: impl Fn(u16) -> bool,
    ) -> Result<Option<Head>, String> {
        while self.is_worth_parsing(answer) {
            let Some(head) = Head::parse(answer)? else { break };
            if !(100..200).contains(&head.status) || is_final(head.status) {
                return Ok(Some(head));
            }
            answer.advance(head.length);
            (self.known, self.skipped) = (0, self.skipped + head.length);
            self.interim += 1;
            if self.interim > MOST_INTERIM {
                return Err(format!("comes behind more than {MOST_INTERIM} interim ones"));
            }
        }
        self.known = answer.len();
        if self.skipped + answer.len() >= LONGEST {
            return Err("is too long".to_owned());
        }
        Ok(None)
    }

    /// Returns whether parsing can lead to anything new with the bytes that came.
    ///
    /// Reparsing after every byte would be quadratic for a peer that trickles.
    fn is_worth_parsing(&self, answer: &[u8]) -> bool {
        /// Number of bytes that show whether it is HTTP at all.
        const FIRST: usize = 16;

        !answer.is_empty()
            && (answer.len() <= FIRST || answer.get(self.known..).is_some_and(|new| new.contains(&b'\n')))
    }
}

impl Head {
    /// Parses a head; `None` for an incomplete one.
    fn parse(answer: &[u8]) -> Result<Option<Head>, String> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_LINES];
        let mut response = httparse::Response::new(&mut headers);
        let mut config = httparse::ParserConfig::default();
        // A client tolerates both (RFC 9112 §5.1, §5.2).
        config.allow_obsolete_multiline_headers_in_responses(true).allow_spaces_after_header_name_in_responses(true);
        match config.parse_response(&mut response, answer) {
            Ok(httparse::Status::Complete(length)) => Ok(Some(Head {
                status: response.code.unwrap_or(0),
                length,
                lines: response
                    .headers
                    .iter()
                    .map(|line| (line.name.to_ascii_lowercase(), line.value.to_vec()))
                    .collect(),
            })),
            Ok(httparse::Status::Partial) => Ok(None),
            Err(error) => Err(format!("is not HTTP: {error}")),
        }
    }

    /// Returns the value of each line of this name, given in lower case.
    fn lines<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.lines.iter().filter(move |line| line.0 == name).map(|line| line.1.trim_ascii())
    }

    /// Returns the members of a list. Lines of one name form one list, and empty members do not count (RFC 9110 §5.3,
    /// §5.6.1).
    pub(super) fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let members = self.lines(name).flat_map(|line| line.split(|byte| *byte == b','));
        members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
    }

    /// Returns whether a list has a member, ignoring case.
    pub(super) fn lists(&self, name: &str, member: &str) -> bool {
        self.list(name).any(|listed| listed.eq_ignore_ascii_case(member.as_bytes()))
    }

    /// Returns the value of a header that is no list; of several lines, the first that is a text.
    pub(super) fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.lines(name).find_map(|line| std::str::from_utf8(line).ok())
    }

    /// Returns the value of a header that must not occur twice.
    pub(super) fn only<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        let mut lines = self.lines(name);
        lines.next().filter(|_| lines.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Head, Heads, LONGEST, MOST_INTERIM};

    /// Reads bytes in pieces of this size; returns the outcome and the bytes left behind the head.
    fn read(answer: &[u8], piece: usize) -> Result<Option<(Head, Vec<u8>)>, String> {
        let (mut heads, mut bytes) = (Heads::default(), BytesMut::new());
        let mut pieces = answer.chunks(piece);
        while let Some(piece) = pieces.next() {
            bytes.extend_from_slice(piece);
            if let Some(head) = heads.read(&mut bytes, |status| status == 101)? {
                let mut rest = bytes.split_off(head.length).to_vec();
                rest.extend(pieces.flatten());
                return Ok(Some((head, rest)));
            }
        }
        Ok(None)
    }

    #[test]
    fn interim_answers_are_skipped_wherever_reads_are_cut() {
        let interim =
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 103 \r\nLink: </a>\r\n\r\n";
        let answer = format!("{interim}HTTP/1.1 101 Yes\r\nUpgrade: x\r\n\r\nbehind it");
        for piece in 1..=answer.len() {
            let (head, rest) = read(answer.as_bytes(), piece).unwrap().unwrap();
            assert_eq!((head.status, &rest[..]), (101, &b"behind it"[..]), "{piece}");
        }
        assert_eq!(read(b"HTTP/1.1 103 \r\n\r\nHTTP/1.1 503 No\r\n\r\n", 7).unwrap().unwrap().0.status, 503);
    }

    #[test]
    fn interim_answers_are_bounded_in_number_and_in_bytes() {
        let many = |n: usize| format!("{}HTTP/1.1 200 Ok\r\n\r\n", "HTTP/1.1 102 x\r\n\r\n".repeat(n));
        for piece in [1, 50, 5000] {
            assert!(read(many(MOST_INTERIM).as_bytes(), piece).unwrap().is_some());
            assert!(read(many(MOST_INTERIM + 1).as_bytes(), piece).unwrap_err().contains("interim"));
            let long = format!("HTTP/1.1 103 x\r\nLink: {}\r\n\r\n", "x".repeat(LONGEST / 8)).repeat(8);
            assert!(read(long.as_bytes(), piece).unwrap_err().contains("too long"));
            let endless = format!("HTTP/1.1 200 x\r\nA: {}", "x".repeat(LONGEST));
            assert!(read(endless.as_bytes(), piece).unwrap_err().contains("too long"));
        }
    }

    #[test]
    fn lines_of_one_name_are_one_list() {
        let head = |lines: &str| read(format!("HTTP/1.1 200 Ok\r\n{lines}\r\n").as_bytes(), 9).unwrap().unwrap().0;
        for lines in [
            "Connection: keep-alive\r\nConnection: Upgrade\r\n",
            "connection: upgrade\r\nCONNECTION: keep-alive\r\n",
            "Connection: keep-alive ,UPGRADE,\r\n",
            "Connection: keep-alive,\r\n\tUpgrade\r\n",
            "Connection : , upgrade\r\n",
            "Connection: \u{fc}\r\nConnection: upgrade\r\n",
        ] {
            assert!(head(lines).lists("connection", "upgrade"), "{lines}");
        }
        for lines in ["Connection: upgraded\r\n", "Upgrade: upgrade\r\n", "Connection: keep alive\r\n", ""] {
            assert!(!head(lines).lists("connection", "upgrade"), "{lines}");
        }
        assert_eq!(head("A: \r\nA: ,\r\n").list("a").count(), 0);
        assert_eq!(head("A: 1\r\n").only("a"), Some(&b"1"[..]));
        assert_eq!(head("A: 1\r\nA: 1\r\n").only("a"), None);
        assert_eq!(head("A: 1\r\nA: 2\r\n").text("a"), Some("1"));
    }

    #[test]
    fn what_is_no_http_is_told_at_once() {
        for bad in ["\x16\x03\x01\x02", "SSH-2.0-x\r\n", "HTTP/1.1 x\r\n\r\n"] {
            assert!(read(bad.as_bytes(), 1).unwrap_err().contains("not HTTP"), "{bad}");
        }
    }
}
