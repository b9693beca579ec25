//! Pages of plain texts, read in place.
//!
//! Building every struct of a page costs a dozen allocations a message, of which an application sees three. So a page
//! of plain texts, which nearly all traffic is, can be read without building anything. A view exists only where the
//! full decoder would read exactly the same. Everything else, from a compressed payload to a field that occurs twice,
//! has no view and goes to the full decoder.

use super::{
    GROUP_DOMAIN, Jid, KeyValue, Layer, MAX_FIELDS, Meta,
    decode::{allowance, decode_within},
    frame::META,
    is_conference,
    mend::decode_mended,
};

/// A page of a queue, read in the bytes of its frame.
#[derive(Clone, Copy, Debug)]
pub struct PageView<'a> {
    /// `queue`.
    pub queue: Option<JidView<'a>>,
    /// `nextKey`.
    pub next_key: Option<u64>,
    /// `isLast`.
    pub is_last: bool,
    /// Number of metas.
    pub count: usize,
    payload: &'a [u8],
}

/// An address, read in place; an absent part is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JidView<'a> {
    /// `appKey`.
    pub app_key: Option<&'a str>,
    /// `name`.
    pub name: Option<&'a str>,
    /// `domain`.
    pub domain: Option<&'a str>,
    /// `clientResource`.
    pub client_resource: Option<&'a str>,
}

/// One meta of a page.
#[derive(Clone, Copy, Debug)]
pub struct MetaView<'a> {
    /// The meta as it stands in the page; [`full_meta`] decodes it.
    pub encoded: &'a [u8],
    /// Its content, where it is a plain text in a single chat or a group.
    pub text: Option<TextView<'a>>,
}

/// A plain text, read in place: no attributes, no options, nothing the server added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextView<'a> {
    /// `Meta.id`.
    pub id: u64,
    /// `Meta.timestamp`.
    pub timestamp: u64,
    /// `Meta.from.name`, or that of the body where the meta has none. A body that names another sender has no view.
    pub from: &'a str,
    /// `Meta.from.clientResource`.
    pub from_resource: Option<&'a str>,
    /// `Meta.to.name`, or that of the body where the meta has none. A body that names another receiver has no view.
    pub to: &'a str,
    /// `Meta.to.clientResource`.
    pub to_resource: Option<&'a str>,
    /// True for a group's text: `MessageBody.type`. A type that does not fit the domain of `Meta.to` has no view.
    pub is_group: bool,
    /// `contents[0].text`.
    pub text: &'a str,
}

impl<'a> PageView<'a> {
    /// Views a frame; `None` for anything but a page of the shape that the service sends.
    #[must_use]
    pub fn of(frame: &'a [u8]) -> Option<Self> {
        let (mut command, mut payload) = (0, None);
        let mut fields = Fields(frame);
        while let Some((tag, value)) = fields.next()? {
            match (tag, value) {
                // version, crypto, pov, deviceId, encryptType, traceId
                (1 | 5 | 7 | 10 | 11 | 20, Value::Varint(_)) => {}
                (4, Value::Varint(0)) => {}
                (8, Value::Varint(number)) => command = number,
                (9, Value::Bytes(bytes)) => payload = Some(bytes),
                (13..=19 | 21.., _) => {}
                _ => return None,
            }
        }
        if command != 0 {
            return None;
        }
        Self::of_payload(payload?)
    }

    /// Like [`of`](Self::of), for the payload of a SYNC.
    #[must_use]
    pub fn of_payload(payload: &'a [u8]) -> Option<Self> {
        let mut page = PageView { queue: None, next_key: None, is_last: false, count: 0, payload };
        let (mut fields, mut left) = (Fields(payload), MAX_FIELDS);
        while let Some((tag, value)) = fields.next()? {
            left = left.checked_sub(1)?;
            match (tag, value) {
                (1, Value::Bytes(status)) => left = left.checked_sub(plain_status(status)?)?,
                (2, Value::Varint(0)) | (3 | 8 | 9, Value::Varint(_)) => {}
                (4, Value::Bytes(_)) => page.count += 1,
                (5, Value::Varint(key)) => page.next_key = Some(key),
                (6, Value::Bytes(queue)) if page.queue.is_none() => page.queue = Some(JidView::of(queue)?),
                (7, Value::Varint(flag)) => page.is_last = flag != 0,
                (10.., _) => {}
                _ => return None,
            }
        }
        Some(page)
    }

    /// Returns the metas in order.
    pub fn metas(&self) -> impl Iterator<Item = MetaView<'a>> + use<'a> {
        let (mut fields, mut seen) = (Fields(self.payload), Addresses::default());
        std::iter::from_fn(move || {
            // The whole payload was walked when the view was made, so this cannot fail.
            while let Some(Some((tag, value))) = fields.next() {
                if let (4, Value::Bytes(encoded)) = (tag, value) {
                    return Some(MetaView { encoded, text: TextView::of(encoded, &mut seen) });
                }
            }
            None
        })
    }
}

/// Decodes one meta of a page, and deducts its fields from `left`, a budget of [`MAX_FIELDS`] for all metas of the page
/// that are decoded; `None` where the meta is malformed or has more.
#[must_use]
pub fn full_meta(meta: &[u8], left: &mut usize) -> Option<Meta> {
    // A copy: its payload would otherwise keep the whole page in memory.
    let copy = bytes::Bytes::copy_from_slice(meta);
    let Some((count, size)) = Fields(meta).measure() else {
        // It may have a group, which is not malformed, in a field of a number that nobody knows.
        return decode_within(&copy, &META, Layer::Payload, left).ok();
    };
    *left = left.checked_sub(count)?;
    allowance(meta.len()).checked_sub(size)?;
    decode_mended(copy).ok()
}

/// Addresses of the last meta, since those of the next one are mostly the same, byte for byte.
#[derive(Default)]
struct Addresses<'a> {
    from: Address<'a>,
    to: Address<'a>,
    body_from: Address<'a>,
    body_to: Address<'a>,
}

#[derive(Default)]
struct Address<'a> {
    bytes: &'a [u8],
    view: JidView<'a>,
    /// Returns whether it is a group's or a room's; `None` without a name or a domain.
    conference: Option<bool>,
}

impl<'a> Address<'a> {
    fn look(&mut self, bytes: &'a [u8]) -> Option<JidView<'a>> {
        if self.bytes != bytes {
            let view = JidView::of(bytes)?;
            let conference = view.name.and(view.domain).map(is_conference);
            *self = Address { bytes, view, conference };
        }
        Some(self.view)
    }
}

impl<'a> TextView<'a> {
    fn of(meta: &'a [u8], seen: &mut Addresses<'a>) -> Option<Self> {
        let (mut id, mut timestamp, mut namespace, mut payload) = (0, 0, 0, None);
        let (mut from, mut to) = (None, None);
        let mut fields = Fields(meta);
        while let Some((tag, value)) = fields.next()? {
            match (tag, value) {
                (1, Value::Varint(number)) => id = number,
                (2, Value::Bytes(jid)) if from.is_none() => from = Some(seen.from.look(jid)?),
                (3, Value::Bytes(jid)) if to.is_none() => to = Some(seen.to.look(jid)?),
                (4, Value::Varint(number)) => timestamp = number,
                (5, Value::Varint(number)) => namespace = number,
                (6, Value::Bytes(bytes)) => payload = Some(bytes),
                (7, Value::Varint(_)) => {}
                (11.., _) => {}
                _ => return None,
            }
        }
        if namespace != 1 {
            return None;
        }
        let body = BodyView::look(payload?, seen)?;
        let is_group = match body.kind {
            1 => false,
            2 => true,
            _ => return None,
        };
        if to.and(seen.to.conference).is_some_and(|conference| conference != is_group) {
            return None;
        }
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        Some(TextView {
            id,
            timestamp,
            from: agreed(from.name, body.from.name)?,
            from_resource: from.client_resource,
            to: agreed(to.name, body.to.name)?,
            to_resource: to.client_resource,
            is_group,
            text: body.text,
        })
    }
}

/// The body of a plain text, read in place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BodyView<'a> {
    /// `MessageBody.type`.
    pub(crate) kind: i32,
    pub(crate) from: JidView<'a>,
    pub(crate) to: JidView<'a>,
    pub(crate) text: &'a str,
}

impl<'a> BodyView<'a> {
    /// No plain text has more fields than this.
    const FIELDS: usize = 32;

    /// Views a body; `None` for anything but a message of one plain text.
    pub(crate) fn of(body: &'a [u8]) -> Option<Self> {
        Self::look(body, &mut Addresses::default())
    }

    fn look(body: &'a [u8], seen: &mut Addresses<'a>) -> Option<Self> {
        let (mut kind, mut from, mut to, mut text) = (0, None, None, None);
        let (mut fields, mut left) = (Fields(body), Self::FIELDS);
        while let Some((tag, value)) = fields.next()? {
            left = left.checked_sub(1)?;
            match (tag, value) {
                (1, Value::Varint(number)) => kind = number,
                (2, Value::Bytes(jid)) if from.is_none() => from = Some(seen.body_from.look(jid)?),
                (3, Value::Bytes(jid)) if to.is_none() => to = Some(seen.body_to.look(jid)?),
                (4, Value::Bytes(content)) if text.is_none() => text = Some(plain_text(content)?),
                // Unknown fields. Those up to 18 are known to newer clients, and the schema may name them one day.
                (19.., _) => {}
                _ => return None,
            }
        }
        let kind = i32::try_from(kind).ok()?;
        Some(BodyView { kind, from: from.unwrap_or_default(), to: to.unwrap_or_default(), text: text? })
    }
}

/// Returns the one name of the meta and the body; `None` where they differ, which the full decoder resolves.
#[inline]
fn agreed<'a>(meta: Option<&'a str>, body: Option<&'a str>) -> Option<&'a str> {
    match (meta.unwrap_or_default(), body.unwrap_or_default()) {
        (meta, body) if meta == body || body.is_empty() => Some(meta),
        ("", body) => Some(body),
        _ => None,
    }
}

/// Returns the text of a content that is nothing but a text.
fn plain_text(content: &[u8]) -> Option<&str> {
    let mut text = None;
    let mut fields = Fields(content);
    while let Some((tag, value)) = fields.next()? {
        match (tag, value) {
            (1, Value::Varint(0)) => {}
            (2, Value::Bytes(bytes)) if text.is_none() => text = Some(std::str::from_utf8(bytes).ok()?),
            _ => return None,
        }
    }
    Some(text.unwrap_or_default())
}

/// Returns the number of fields of a status that says nothing but OK.
fn plain_status(status: &[u8]) -> Option<usize> {
    let (mut fields, mut count) = (Fields(status), 0);
    while let Some(field) = fields.next()? {
        count += 1;
        if !matches!(field, (1, Value::Varint(0))) {
            return None;
        }
    }
    Some(count)
}

impl Jid {
    /// Views the address.
    #[must_use]
    pub fn view(&self) -> JidView<'_> {
        JidView {
            app_key: self.app_key.as_deref(),
            name: self.name.as_deref(),
            domain: self.domain.as_deref(),
            client_resource: self.client_resource.as_deref(),
        }
    }
}

impl<'a> JidView<'a> {
    /// No address has more fields than this.
    const FIELDS: usize = 16;

    fn of(bytes: &'a [u8]) -> Option<Self> {
        let mut jid = JidView::default();
        let (mut fields, mut left) = (Fields(bytes), Self::FIELDS);
        while let Some((tag, value)) = fields.next()? {
            left = left.checked_sub(1)?;
            let place = match tag {
                1 => &mut jid.app_key,
                2 => &mut jid.name,
                3 => &mut jid.domain,
                4 => &mut jid.client_resource,
                _ => continue,
            };
            match (value, &place) {
                (Value::Bytes(text), None) => *place = Some(std::str::from_utf8(text).ok()?),
                _ => return None,
            }
        }
        Some(jid)
    }

    /// Returns whether both name the same queue: the device does not count, and an absent part equals an empty one.
    #[must_use]
    pub fn same_queue(&self, other: &Jid) -> bool {
        self.name.unwrap_or_default() == other.name()
            && self.domain.unwrap_or_default() == other.domain()
            && self.app_key.unwrap_or_default() == other.app_key()
    }

    /// Returns whether it is a group's or a room's.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.domain == Some(GROUP_DOMAIN)
    }

    /// Returns the address as a value.
    #[must_use]
    pub fn to_jid(&self) -> Jid {
        let owned = |part: Option<&str>| part.map(str::to_owned);
        Jid {
            app_key: owned(self.app_key),
            name: owned(self.name),
            domain: owned(self.domain),
            client_resource: owned(self.client_resource),
        }
    }
}

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Iterates over the fields of a message.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Reads the next field; `None` for bytes that are no message, `Some(None)` at the end. Groups are not parsed.
    #[inline]
    fn next(&mut self) -> Option<Option<(u32, Value<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let key = u32::try_from(self.varint()?).ok()?;
        let tag = key >> 3;
        if tag == 0 {
            return None;
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some(Some((tag, value)))
    }

    /// Measures a meta: its number of fields, and the memory of its repeated ones.
    fn measure(mut self) -> Option<(usize, usize)> {
        let (mut count, mut size) = (0, 0);
        while let Some((tag, _)) = self.next()? {
            count += 1;
            size += match tag {
                8 => size_of::<KeyValue>(),
                10 => size_of::<String>(),
                _ => 0,
            };
        }
        Some((count, size))
    }

    #[inline]
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        match self.0 {
            // Nearly all keys, lengths and flags.
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Some(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if at == 9 && *byte > 1 {
                return None;
            }
            number |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.0 = self.0.get(at + 1..)?;
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
