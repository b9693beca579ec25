//! WebSocket framing by hand (RFC 6455): just what the server and the
//! allocation-free client need.

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    pub op: u8,
    pub fin: bool,
    pub mask: Option<[u8; 4]>,
    pub head_len: usize,
    pub len: usize,
}

/// Reads a frame's head; none while bytes are missing.
#[inline]
pub fn head(b: &[u8]) -> Option<Head> {
    if b.len() < 2 {
        return None;
    }
    let (op, fin) = (b[0] & 0x0f, b[0] & 0x80 != 0);
    let masked = b[1] & 0x80 != 0;
    let (mut n, len) = match b[1] & 0x7f {
        126 => {
            if b.len() < 4 {
                return None;
            }
            (4, u16::from_be_bytes([b[2], b[3]]) as usize)
        }
        127 => {
            if b.len() < 10 {
                return None;
            }
            (10, u64::from_be_bytes(b[2..10].try_into().unwrap()) as usize)
        }
        l => (2, l as usize),
    };
    let mask = if masked {
        if b.len() < n + 4 {
            return None;
        }
        let m = [b[n], b[n + 1], b[n + 2], b[n + 3]];
        n += 4;
        Some(m)
    } else {
        None
    };
    Some(Head { op, fin, mask, head_len: n, len })
}

pub fn unmask(b: &mut [u8], key: [u8; 4]) {
    let k = u32::from_ne_bytes(key);
    let mut c = b.chunks_exact_mut(4);
    for w in &mut c {
        let v = u32::from_ne_bytes([w[0], w[1], w[2], w[3]]) ^ k;
        w.copy_from_slice(&v.to_ne_bytes());
    }
    for (i, x) in c.into_remainder().iter_mut().enumerate() {
        *x ^= key[i];
    }
}

/// Appends a frame; `mask` for a client's.
pub fn put(out: &mut Vec<u8>, op: u8, payload: &[u8], mask: Option<[u8; 4]>) {
    out.push(0x80 | op);
    let m = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        l if l < 126 => out.push(m | l as u8),
        l if l < 65536 => {
            out.push(m | 126);
            out.extend_from_slice(&(l as u16).to_be_bytes());
        }
        l => {
            out.push(m | 127);
            out.extend_from_slice(&(l as u64).to_be_bytes());
        }
    }
    if let Some(k) = mask {
        out.extend_from_slice(&k);
        let at = out.len();
        out.extend_from_slice(payload);
        unmask(&mut out[at..], k);
    } else {
        out.extend_from_slice(payload);
    }
}

/// A cheap pseudo-random masking key.
pub fn mask_key(state: &mut u32) -> [u8; 4] {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    state.to_ne_bytes()
}
