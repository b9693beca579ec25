//! Bodies of requests that hold a secret.

use std::io;

use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

/// A value of texts and numbers as JSON; the bytes are wiped when the last clone is dropped.
///
/// What the HTTP client has copied into its own buffers to send is not.
pub(super) fn json(value: &impl Serialize) -> Bytes {
    // Measured first: a vector that grew would leave what it outgrew behind, unwiped.
    let mut length = Length(0);
    let mut bytes = match serde_json::to_writer(&mut length, value) {
        Ok(()) => Zeroizing::new(Vec::with_capacity(length.0)),
        Err(_) => return Bytes::new(),
    };
    match serde_json::to_writer(&mut *bytes, value) {
        Ok(()) => Bytes::from_owner(bytes),
        Err(_) => Bytes::new(),
    }
}

struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_body_is_the_json_of_its_value() {
        let value = json!({"password": "sec\"ret\u{1}ü", "n": [1, null]});
        assert_eq!(super::json(&value), serde_json::to_vec(&value).unwrap());
    }

    /// What stands at an address of this process now.
    #[cfg(target_os = "linux")]
    fn memory(at: usize, length: usize) -> Vec<u8> {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.seek(SeekFrom::Start(at as u64)).unwrap();
        let mut bytes = vec![0; length];
        memory.read_exact(&mut bytes).unwrap();
        bytes
    }

    #[cfg(target_os = "linux")]
    fn holds(bytes: &[u8], text: &[u8]) -> bool {
        bytes.windows(text.len()).any(|window| window == text)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_body_is_wiped_when_its_last_clone_is_dropped() {
        const SECRET: &str = "a password to be wiped";
        let body = super::json(&json!({"padding": "x".repeat(100), "password": SECRET}));
        let (at, length, clone) = (body.as_ptr() as usize, body.len(), body.clone());
        drop(body);
        assert!(holds(&memory(at, length), SECRET.as_bytes()), "a clone is left");
        drop(clone);
        assert!(!holds(&memory(at, length), SECRET.as_bytes()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_password_is_shared_by_its_clones_and_wiped_with_the_last_and_so_is_the_text_it_was_made_of() {
        let secret = format!("{}{}", "x".repeat(100), "another password to be wiped");
        // A text with room to spare, which is copied to be kept.
        let mut text = String::with_capacity(400);
        text.push_str(&secret);
        let given = text.as_ptr() as usize;
        let password = crate::Password::new(text).unwrap();
        let clone = password.clone();
        let (at, length) = (password.expose().as_ptr() as usize, secret.len());
        assert_eq!(clone.expose().as_ptr() as usize, at);
        let secret = &secret.as_bytes()[100..];
        assert!(given == at || !holds(&memory(given, length), secret), "the text given is wiped");
        drop(password);
        assert!(holds(&memory(at, length), secret), "a clone is left");
        drop(clone);
        assert!(!holds(&memory(at, length), secret));
    }
}
