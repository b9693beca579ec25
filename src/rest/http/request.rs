/// As much of a header line as tells where the body ends.
const START: usize = 48;

pub(super) struct Request {
    part: Part,
    /// The start of the line that is going out; a secret in a longer one is gone with the next.
    line: [u8; START],
    known: usize,
    lines: usize,
    length: u64,
    is_head: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Head,
    Body(u64),
    /// A body in chunks, whose end is not looked for: the connection is not used again.
    Chunks,
}

impl Default for Request {
    fn default() -> Self {
        Request { part: Part::Head, line: [0; START], known: 0, lines: 0, length: 0, is_head: false }
    }
}

impl Request {
    pub(super) fn is_whole(&self) -> bool {
        self.part == Part::Body(0)
    }

    pub(super) fn has_begun(&self) -> bool {
        self.lines > 0 || self.known > 0
    }

    pub(super) fn is_head(&self) -> bool {
        self.is_head
    }

    pub(super) fn sent(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            match &mut self.part {
                Part::Chunks => return,
                Part::Body(left) => {
                    *left = left.saturating_sub(bytes.len() as u64);
                    return;
                }
                Part::Head if *byte == b'\n' => self.line_ends(),
                Part::Head => {
                    if let Some(place) = self.line.get_mut(self.known) {
                        *place = *byte;
                        self.known += 1;
                    }
                }
            }
            bytes = rest;
        }
    }

    fn line_ends(&mut self) {
        let line = self.line.get(..self.known).unwrap_or_default().to_ascii_lowercase();
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let value = |name: &str| std::str::from_utf8(line.strip_prefix(name.as_bytes())?).ok().map(str::trim);
        if self.lines == 0 {
            self.is_head = line.starts_with(b"head ");
        } else if line.is_empty() {
            if self.part == Part::Head {
                self.part = Part::Body(self.length);
            }
        } else if let Some(length) = value("content-length:") {
            self.length = length.parse().unwrap_or(u64::MAX);
        } else if value("transfer-encoding:").is_some() {
            self.part = Part::Chunks;
        }
        self.lines += 1;
        (self.line, self.known) = ([0; START], 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Request;

    fn sent(text: &str, step: usize) -> Request {
        let mut request = Request::default();
        text.as_bytes().chunks(step).for_each(|bytes| request.sent(bytes));
        request
    }

    #[test]
    fn a_request_is_whole_with_the_last_byte_of_its_body() {
        let long = format!("authorization: Bearer {}\r\n", "x".repeat(500));
        let with_body = format!("POST /content-length: HTTP/1.1\r\n{long}Content-Length: 5\r\n\r\nhello");
        let without = format!("GET / HTTP/1.1\r\n{long}\r\n");
        for text in [&with_body, &without] {
            for step in [1, 2, 7, 10_000] {
                assert!(sent(text, step).is_whole());
                let cut = sent(&text[..text.len() - 1], step);
                assert!(!cut.is_whole() && cut.has_begun());
            }
        }
        assert!(!Request::default().has_begun());
        assert!(sent("HEAD / HTTP/1.1\r\n\r\n", 3).is_head());
        assert!(!sent("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 3).is_whole());
    }
}
