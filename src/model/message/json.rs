//! Reading the service's JSON, in which numbers may be text and anything may be absent.
//!
//! A text is checked once and then looked at in place: taken apart into values it would need up to a hundred times its
//! length, and whoever sends it would choose how much.

use std::borrow::Cow;

use crate::util::lenient;

/// The longest JSON text that is looked at, in bytes; far above what the service sends. A longer one counts as none.
pub(crate) const LONGEST: usize = 256 * 1024;

/// Checks a JSON text, its texts [mended](lenient::json) where broken; `None` where it is too long, or is none.
pub(crate) fn open<'a>(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Option<Checked<'a>> {
    let text = text.as_ref();
    if text.len() > LONGEST { None } else { lenient::json::check(text).ok().map(Checked) }
}

/// Returns whether it is JSON at all, which takes no memory to tell.
pub(crate) fn is_json(text: &[u8]) -> bool {
    open(text).is_some()
}

pub(crate) struct Checked<'a>(Cow<'a, str>);

impl<'a> Checked<'a> {
    pub(crate) fn view(&self) -> View<'_> {
        View::of(&self.0)
    }
}

/// A value in a JSON text, seen in place; or nothing, where there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a>(&'a str);

impl<'a> View<'a> {
    pub(crate) const NOTHING: View<'static> = View("");

    /// Makes the value of a well-formed text. Of any other it makes something harmless.
    pub(crate) fn of(text: &'a str) -> Self {
        View(text.trim_matches(is_gap))
    }

    pub(crate) fn raw(self) -> &'a str {
        self.0
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    pub(crate) fn is_list(self) -> bool {
        self.0.starts_with('[')
    }

    pub(crate) fn is_some(self) -> bool {
        !self.0.is_empty() && self.0 != "null"
    }

    pub(crate) fn has_members(self) -> bool {
        self.is_object() && self.parts().next().is_some()
    }

    /// Members of an object, each the last of its name; nothing for those that are absent.
    pub(crate) fn fields<const N: usize>(self, names: [&str; N]) -> [View<'a>; N] {
        let mut found = [View::NOTHING; N];
        for (name, value) in self.members() {
            let Some(name) = name.str() else { continue };
            if let Some((_, place)) = names.iter().zip(&mut found).find(|(wanted, _)| **wanted == name) {
                *place = value;
            }
        }
        found
    }

    pub(crate) fn get(self, name: &str) -> View<'a> {
        let [value] = self.fields([name]);
        value
    }

    /// Returns the members of an object, names first; none of anything else.
    pub(crate) fn members(self) -> impl Iterator<Item = (View<'a>, View<'a>)> + Clone {
        let mut parts = if self.is_object() { self.parts() } else { Parts("") };
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    pub(crate) fn items(self) -> impl Iterator<Item = View<'a>> + Clone {
        if self.is_list() { self.parts() } else { Parts("") }
    }

    fn parts(self) -> Parts<'a> {
        Parts(self.0.get(1..).unwrap_or_default())
    }

    pub(crate) fn str(self) -> Option<Cow<'a, str>> {
        let inside = self.0.strip_prefix('"')?.strip_suffix('"')?;
        match inside.contains('\\') {
            false => Some(Cow::Borrowed(inside)),
            true => serde_json::from_str(self.0).ok().map(Cow::Owned),
        }
    }

    pub(crate) fn is(self, text: &str) -> bool {
        self.str().is_some_and(|own| own == text)
    }

    /// As text; a number as its digits; empty for anything else.
    pub(crate) fn text(self) -> String {
        match self.0.as_bytes().first() {
            Some(b'"') => self.str().unwrap_or_default().into_owned(),
            Some(b'-' | b'0'..=b'9') => {
                serde_json::from_str::<serde_json::Number>(self.0).map_or_else(|_| String::new(), |n| n.to_string())
            }
            _ => String::new(),
        }
    }

    /// As a number that is not negative, also where it is given as text.
    pub(crate) fn number(self) -> Option<u64> {
        if let Some(text) = self.str() {
            return text.trim().parse().ok();
        }
        // A JSON writer without integers may give them a fraction of 0.
        self.0.parse().ok().or_else(|| {
            let number =
                self.0.parse::<f64>().ok().filter(|_| self.0.starts_with(|c: char| c == '-' || c.is_ascii_digit()));
            number.filter(|number| *number >= 0.0 && number.fract() == 0.0).map(|number| number as u64)
        })
    }

    /// As a truth value, also one given as text or as 0 or 1.
    pub(crate) fn bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => match self.str() {
                Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
                Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
                _ => self.number().map(|number| number != 0),
            },
        }
    }

    /// Returns the texts of a list; what is no text is left out.
    pub(crate) fn texts(self) -> Vec<String> {
        let texts = self.items().filter(|item| item.0.starts_with('"'));
        exactly(texts.clone().count(), texts.filter_map(|item| item.str().map(Cow::into_owned)))
    }

    /// Returns the entries that `read` accepts. Empty ones are dropped: they cost 3 bytes to write and 100 to store.
    pub(crate) fn entries<T>(self, read: impl Fn(View<'a>) -> Option<T>) -> Vec<T> {
        let said = self.items().filter(|item| item.has_members());
        exactly(said.clone().count(), said.filter_map(read))
    }

    /// Returns the members of an object that `read` takes, sorted by name; of those of one name the last.
    pub(crate) fn by_name<T>(self, read: impl Fn(View<'a>) -> Option<T>) -> Vec<(Cow<'a, str>, T)> {
        let taken = self.members().filter_map(|(name, value)| Some((name.str()?, read(value)?)));
        let mut all = exactly(self.members().count(), taken);
        if !all.is_sorted_by(|(one, _), (next, _)| one < next) {
            all.sort_by(|(one, _), (other, _)| one.cmp(other));
            all.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    std::mem::swap(later, earlier);
                }
                same
            });
        }
        all
    }

    /// Returns the members of an object as texts, sorted by name; a value that is no text is given as its JSON.
    pub(crate) fn pairs(self) -> Vec<(String, String)> {
        let read = |value: View<'a>| Some(value.str().unwrap_or(Cow::Borrowed(value.0)));
        let pairs = self.by_name(read);
        exactly(pairs.len(), pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())))
    }
}

pub(crate) fn said<T: Default + PartialEq>(entry: T) -> Option<T> {
    (entry != T::default()).then_some(entry)
}

/// Returns a list with no more places than it needs; `most` is how many there may be.
pub(crate) fn exactly<T>(most: usize, items: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = Vec::with_capacity(most);
    all.extend(items);
    all.shrink_to_fit();
    all
}

/// The values in a list or object, names included, from behind its bracket.
#[derive(Clone)]
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<View<'a>> {
        let rest = self.0.trim_start_matches(|c| is_gap(c) || c == ',' || c == ':');
        let (value, rest) = rest.split_at_checked(end(rest))?;
        self.0 = rest;
        (!value.is_empty()).then_some(View(value))
    }
}

fn is_gap(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Returns the end of the value that a text begins with; 0 where there is none.
fn end(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' if depth == 0 => return at + 1,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => match depth {
                0 => return at,
                1 => return at + 1,
                _ => depth -= 1,
            },
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}
