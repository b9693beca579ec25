//! The content of a `007…` token: little-endian fields, texts with a 16-bit length, compressed by zlib, in base64.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use miniz_oxide::{
    deflate::core::{
        CompressionStrategy, CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
    },
    inflate::decompress_to_vec_zlib_with_limit,
};

/// The most bytes that a token is taken apart to, 64 KiB; one of the vendor's builders has some hundred.
pub const MAX_CONTENT: usize = 64 << 10;

pub(super) const PREFIX: &str = "007";

pub(super) const CHAT: u16 = 5;

/// Privileges of a user's and of an app's token at the chat service.
pub(super) const CHAT_USER: u16 = 1;
pub(super) const CHAT_APP: u16 = 2;

/// The longest user of a token that is believed, in bytes; the vendor's own limits are 64 and 255.
pub(super) const MAX_USER: usize = 255;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) struct Content {
    pub(super) app_id: String,
    /// In seconds since 1970.
    pub(super) issued_at: u32,
    pub(super) life: u32,
    pub(super) salt: u32,
    /// By number; ends at the first whose fields are not known here, which is still listed.
    pub(super) services: Vec<u16>,
    pub(super) chat: Option<Chat>,
}

pub(super) struct Chat {
    pub(super) user: String,
    /// Seconds from issue to the end of the shortest privilege; 0 is no end of its own.
    pub(super) life: u32,
}

/// A token as it came: its signature and what that signs.
pub(super) struct Signed {
    bytes: Vec<u8>,
    signature: usize,
}

impl Signed {
    /// Unpacks a whole token; `None` if it is not of this form, damaged, or larger than [`MAX_CONTENT`].
    pub(super) fn unpack(token: &str) -> Option<Signed> {
        let packed = token.strip_prefix(PREFIX).filter(|packed| packed.len() <= MAX_CONTENT)?;
        let bytes = decompress_to_vec_zlib_with_limit(&BASE64.decode(packed).ok()?, MAX_CONTENT).ok()?;
        let signature = Reader(&bytes).text()?.len();
        Some(Signed { bytes, signature })
    }

    pub(super) fn pack(signature: &[u8], content: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(2 + signature.len() + content.len());
        put_text(&mut bytes, signature);
        bytes.extend_from_slice(content);
        format!("{PREFIX}{}", BASE64.encode(deflate(&bytes)))
    }

    pub(super) fn signature(&self) -> &[u8] {
        self.bytes.get(2..2 + self.signature).unwrap_or_default()
    }

    pub(super) fn content(&self) -> &[u8] {
        self.bytes.get(2 + self.signature..).unwrap_or_default()
    }
}

impl Content {
    /// Reads a content; `None` where it is cut short or holds what no builder writes.
    pub(super) fn read(content: &[u8]) -> Option<Content> {
        let mut reader = Reader(content);
        let app_id = reader.text()?;
        let app_id = std::str::from_utf8(app_id).ok().filter(|id| is_hex_32(id))?.to_owned();
        let (issued_at, life, salt) = (reader.number()?, reader.number()?, reader.number()?);
        let count = reader.short()?;
        let (mut services, mut chat) = (Vec::new(), None);
        for _ in 0..count {
            let service = reader.short()?;
            services.push(service);
            if !is_known(service) {
                break;
            }
            let life = reader.privileges()?;
            if service == CHAT {
                let user = std::str::from_utf8(reader.text()?).ok().filter(|user| user.len() <= MAX_USER)?;
                chat = chat.or(Some(Chat { user: user.to_owned(), life }));
            } else {
                reader.skip(service)?;
            }
        }
        Some(Content { app_id, issued_at, life, salt, services, chat })
    }

    /// Returns the content of a token for the chat service alone.
    pub(super) fn of_chat(app_id: &str, (issued_at, life, salt): (u32, u32, u32), user: Option<&str>) -> Vec<u8> {
        let mut content = Vec::with_capacity(128);
        put_text(&mut content, app_id.as_bytes());
        for number in [issued_at, life, salt] {
            content.extend_from_slice(&number.to_le_bytes());
        }
        let privilege = if user.is_some() { CHAT_USER } else { CHAT_APP };
        // One service with one privilege.
        for short in [1, CHAT, 1, privilege] {
            content.extend_from_slice(&short.to_le_bytes());
        }
        content.extend_from_slice(&life.to_le_bytes());
        put_text(&mut content, user.unwrap_or_default().as_bytes());
        content
    }
}

/// Returns whether this is how the vendor writes app ids and certificates.
pub(super) fn is_hex_32(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns whether the service's fields are known here, and so what follows it can be read.
pub(super) fn is_known(service: u16) -> bool {
    matches!(service, 1..=7 | 9 | 10)
}

/// Writes a text of at most 64 KiB less a byte, which all that is written here is.
fn put_text(into: &mut Vec<u8>, text: &[u8]) {
    into.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    into.extend_from_slice(text);
}

/// Compresses with zlib's codes for short random bytes. The vendor's published tokens come out to the byte.
fn deflate(bytes: &[u8]) -> Vec<u8> {
    const LEVEL: i32 = 6;
    const WITH_HEADER: i32 = 1;
    let flags = create_comp_flags_from_zip_params(LEVEL, WITH_HEADER, CompressionStrategy::Fixed as i32);
    let mut packed = Vec::with_capacity(bytes.len() + 64);
    compress_to_output(&mut CompressorOxide::new(flags), bytes, TDEFLFlush::Finish, |block| {
        packed.extend_from_slice(block);
        true
    });
    packed
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<u16> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_le_bytes(*taken))
    }

    fn number(&mut self) -> Option<u32> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*taken))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.short()?;
        self.take(usize::from(length))
    }

    /// Returns the shortest life of the privileges that have an end of their own, or 0.
    fn privileges(&mut self) -> Option<u32> {
        let mut shortest = None;
        for _ in 0..self.short()? {
            self.short()?;
            let life = Some(self.number()?).filter(|&life| life != 0);
            shortest = shortest.into_iter().chain(life).min();
        }
        Some(shortest.unwrap_or(0))
    }

    fn skip(&mut self, service: u16) -> Option<()> {
        let (texts, shorts) = match service {
            1 | 3 | 6 => (2, 0),
            2 => (1, 0),
            7 => (2, 1),
            _ => (0, 0),
        };
        for _ in 0..texts {
            self.text()?;
        }
        for _ in 0..shorts {
            self.short()?;
        }
        Some(())
    }
}
