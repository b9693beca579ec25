//! Multipart forms, as far as uploads need them.

use bytes::Bytes;

/// Parts of one form; more are an error.
const PARTS: usize = 16;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) field: String,
    pub(crate) file_name: String,
    pub(crate) content_type: String,
    pub(crate) bytes: Bytes,
}

/// Splits a form into its parts; `None` for a body that is no form.
pub(crate) fn parts(content_type: &str, body: &Bytes) -> Option<Vec<Part>> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = parameter(parameters, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()))?;
    let (opening, between) = (format!("--{boundary}"), format!("\r\n--{boundary}"));
    let start = find(body, opening.as_bytes())?;
    let mut rest = body.slice(start + opening.len()..);
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        if parts.len() >= PARTS || !rest.starts_with(b"\r\n") {
            return None;
        }
        let end = find(&rest, between.as_bytes())?;
        parts.push(part(&rest.slice(2.min(end)..end))?);
        rest = rest.slice(end + between.len()..);
    }
    Some(parts)
}

fn part(part: &Bytes) -> Option<Part> {
    let (head, bytes) = match find(part, b"\r\n\r\n") {
        Some(end) => (part.slice(..end), part.slice(end + 4..)),
        None => return None,
    };
    let head = std::str::from_utf8(&head).ok()?;
    let (mut field, mut file_name) = (None, String::new());
    let mut content_type = "application/octet-stream".to_owned();
    for (name, value) in head.split("\r\n").filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-disposition") {
            field = parameter(value, "name");
            file_name = parameter(value, "filename").unwrap_or_default();
        } else if name.eq_ignore_ascii_case("content-type") {
            value.trim().clone_into(&mut content_type);
        }
    }
    Some(Part { field: field?, file_name, content_type, bytes })
}

/// Returns the value of `name=value` or `name="value"` among others.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut parameters = text.split(';').filter_map(|parameter| parameter.split_once('='));
    let (_, value) = parameters.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
    Some(value.trim().trim_matches('"').to_owned())
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    let first = *what.first()?;
    let mut from = 0;
    loop {
        from += within.get(from..)?.iter().position(|byte| *byte == first)?;
        if within.get(from..)?.starts_with(what) {
            return Some(from);
        }
        from += 1;
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::parts;

    #[test]
    fn a_form_is_taken_apart_byte_for_byte() {
        let body = "--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: image/png\r\n\r\n\
                    one\r\n--Y\r\n\r\n--X\r\nContent-Disposition: form-data; name=\"thumbnail-width\"\r\n\r\n170\r\n--X--\r\n";
        let form = parts("multipart/form-data; boundary=X", &Bytes::from_static(body.as_bytes())).unwrap();
        let seen: Vec<_> = form
            .iter()
            .map(|p| (p.field.as_str(), p.file_name.as_str(), p.content_type.as_str(), &p.bytes[..]))
            .collect();
        assert_eq!(
            seen,
            [
                ("file", "a.bin", "image/png", &b"one\r\n--Y\r\n"[..]),
                ("thumbnail-width", "", "application/octet-stream", &b"170"[..]),
            ]
        );
    }

    #[test]
    fn what_is_no_form_is_none() {
        let none = |content_type: &str, body: &'static str| {
            parts(content_type, &Bytes::from_static(body.as_bytes())).is_none()
        };
        assert!(none("application/json", "{}"));
        assert!(none("multipart/form-data", "--X--"));
        assert!(none("multipart/form-data; boundary=X", ""));
        assert!(none("multipart/form-data; boundary=X", "--X\r\nContent-Disposition: form-data; name=a\r\n\r\nno end"));
        assert!(none("multipart/form-data; boundary=X", "--X\r\n--X--"));
        assert!(none("multipart/form-data; boundary=X", "--Xjunk"));
    }
}
