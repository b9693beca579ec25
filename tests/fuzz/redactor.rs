//! Any texts, before a redactor that knows any secrets.
//!
//! Input: how many secrets (up to 4), each as its length and its bytes, how many characters are kept (16 bits), and the rest
//! is what a server writes.

use arbitrary::{Result, Unstructured};
use secrecy::SecretString;

use super::{
    MARKS, Redactor,
    spelling::{ANYWHERE, BEGINNING},
};

pub(crate) fn run(data: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(data);
    let (redactor, mut secrets) = (Redactor::default(), Vec::new());
    for _ in 0..u.int_in_range(0..=4)? {
        let length = usize::from(u.arbitrary::<u8>()?);
        let secret = String::from_utf8_lossy(u.bytes(length.min(u.len()))?).into_owned();
        redactor.learn(SecretString::from(secret.clone()));
        secrets.push(secret);
    }
    let longest = usize::from(u.arbitrary::<u16>()?);
    let text = String::from_utf8_lossy(u.take_rest()).into_owned();
    let has_one = |text: &str| {
        let long = |secret: &&String| secret.chars().count() >= ANYWHERE;
        secrets.iter().filter(long).any(|secret| text.contains(&**secret))
    };
    let shown = redactor.shown(text.clone());
    assert!(!has_one(&shown), "a secret is shown");
    assert!(redactor.changed(&shown).is_none(), "what is shown has a secret in some spelling");
    if shown != text {
        assert!(MARKS.iter().any(|mark| shown.contains(mark)), "something was taken out without a mark");
    }
    if secrets.iter().all(String::is_empty) {
        assert_eq!(shown, text, "nothing is secret");
    }
    let taken = redactor.taken_in(text.clone(), longest);
    assert!(taken.chars().count() <= longest + 1, "it is not cut");
    let whole = redactor.whole(text.clone(), longest);
    assert!(whole == text || whole.strip_suffix('…').is_some_and(|kept| text.starts_with(kept)), "it is changed");
    // No secret is cut in two: a beginning that counts as one stands nowhere that the whole of it would not.
    if let Some(kept) = whole.strip_suffix('…') {
        let half = |secret: &&String| {
            secret.len() > BEGINNING && kept.ends_with(secret.get(..secret.len() - 1).unwrap_or("\0"))
        };
        assert!(!secrets.iter().any(|secret| half(&secret)), "a secret is cut in two");
    }
    Ok(())
}
