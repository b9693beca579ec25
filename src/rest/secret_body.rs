use std::io;

use bytes::Bytes;
use serde::Serialize;
use zeroize::Zeroizing;

/// Returns texts and numbers as JSON, wiped with its last clone. The HTTP client's own copies are not wiped.
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

    /// Reads what stands in this process's memory. It allocates beforehand, to reuse no freed memory.
    #[cfg(target_os = "linux")]
    struct Memory {
        file: std::fs::File,
        seen: Vec<u8>,
    }

    #[cfg(target_os = "linux")]
    impl Memory {
        fn open() -> Self {
            Memory { file: std::fs::File::open("/proc/self/mem").unwrap(), seen: vec![0; 4096] }
        }

        fn holds(&mut self, at: usize, length: usize, text: &str) -> bool {
            use std::os::unix::fs::FileExt as _;
            let seen = &mut self.seen[..length];
            self.file.read_exact_at(seen, at as u64).unwrap();
            seen.windows(text.len()).any(|window| window == text.as_bytes())
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_body_is_wiped_when_its_last_clone_is_dropped() {
        const SECRET: &str = "a password to be wiped";
        let mut memory = Memory::open();
        let body = super::json(&json!({"padding": "x".repeat(1000), "password": SECRET}));
        let (at, length, clone) = (body.as_ptr() as usize, body.len(), body.clone());
        drop(body);
        assert!(memory.holds(at, length, SECRET), "a clone is left");
        drop(clone);
        assert!(!memory.holds(at, length, SECRET));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_password_is_shared_by_its_clones_and_wiped_with_the_last_and_so_is_the_text_it_was_made_of() {
        const SECRET: &str = "another password to be wiped";
        let mut memory = Memory::open();
        // A text with room to spare, which is copied to be kept.
        let mut text = String::with_capacity(3000);
        text.extend(std::iter::repeat_n('x', 1000));
        text.push_str(SECRET);
        let (given, length) = (text.as_ptr() as usize, text.len());
        let password = crate::model::account::Password::new(text).unwrap();
        let (clone, at) = (password.clone(), password.expose().as_ptr() as usize);
        assert_eq!(clone.expose().as_ptr() as usize, at);
        assert!(!memory.holds(given, length, SECRET), "the text given is wiped");
        drop(password);
        assert!(memory.holds(at, length, SECRET), "a clone is left");
        drop(clone);
        assert!(!memory.holds(at, length, SECRET));
    }
}
