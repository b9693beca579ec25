//! Whole frames: envelopes put together and taken apart.

use bytes::Bytes;
use prost::Message;

use super::decode::{FLAT, Field, MAX_FIELDS, Shape, decode, decode_within, split_off};
use super::error::{DecodeError, Layer};
use super::mend::{Mend, decode_mended};
use super::msync::{Command, EncryptType, MSync, Version};
use super::{
    CommNotice, CommSyncDl, CommSyncUl, CommUnreadDl, CommUnreadUl, Jid, KeyValue, Logout, Meta, MetaQueue, Provision,
    RedirectInfo, encode,
};

/// Prefix of a token in `auth` and `authToken`.
pub const TOKEN_PREFIX: &str = "$t$";

const STATUS: Shape = Shape(&[Field::repeated::<RedirectInfo>(3)]);
pub(super) const META: Shape = Shape(&[Field::repeated::<KeyValue>(8), Field::repeated::<String>(10)]);
const UNREAD_DL: Shape = Shape(&[Field::holding(1, &STATUS), Field::repeated::<MetaQueue>(2)]);
const SYNC_UL: Shape = Shape(&[Field::holding(1, &META)]);
const SYNC_DL: Shape = Shape(&[Field::holding(1, &STATUS), Field::repeated::<Meta>(4).with(&META).alone()]);
const PROVISION: Shape = Shape(&[Field::holding(8, &STATUS)]);
const LOGOUT: Shape = Shape(&[Field::holding(3, &STATUS)]);

/// Payload of a frame from a server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Downward {
    /// The answer to a send, or a page of a queue.
    Sync(CommSyncDl),
    /// The answer to a heartbeat.
    Unread(CommUnreadDl),
    /// A queue has something new.
    Notice(CommNotice),
    /// The answer to a login.
    Provision(Box<Provision>),
    /// The answer to a logout.
    Logout(Logout),
    /// A command this crate does not know, by number.
    Unknown(i32),
}

/// Payload of a frame from a client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Upward {
    /// A send or a pull.
    Sync(Box<CommSyncUl>),
    /// The heartbeat.
    Unread(CommUnreadUl),
    /// A login.
    Provision(Box<Provision>),
    /// The end of a session.
    Logout(Logout),
    /// A command that no client sends, by its number.
    Unknown(i32),
}

/// Taking frames apart. A missing payload reads as an empty message.
impl MSync {
    /// Decodes the envelope of a frame of at most `limit` bytes; the payload stays a slice of `frame`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::TooLarge`] and [`DecodeError::Malformed`].
    pub fn decode_frame(frame: Bytes, limit: usize) -> Result<Self, DecodeError> {
        if frame.len() > limit {
            return Err(DecodeError::TooLarge { size: frame.len(), limit });
        }
        decode_mended(frame).map_err(|source| DecodeError::Malformed { layer: Layer::Envelope, source })
    }

    /// Decodes the payload of a frame from a server, by command.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`], [`DecodeError::TooManyFields`] and [`DecodeError::Compressed`].
    pub fn downward(&self) -> Result<Downward, DecodeError> {
        Ok(match self.known_command() {
            Ok(Command::Sync) => Downward::Sync(self.sync_dl()?),
            Ok(Command::Unread) => Downward::Unread(self.unread_dl()?),
            Ok(Command::Notice) => Downward::Notice(self.notice()?),
            Ok(Command::Provision) => Downward::Provision(Box::new(self.provision()?)),
            Ok(Command::Logout) => Downward::Logout(self.logout()?),
            Err(number) => Downward::Unknown(number),
        })
    }

    /// Like [`downward`](Self::downward), but drops only the metas that do not decode, and returns those as slices of
    /// the frame.
    ///
    /// # Errors
    ///
    /// As for [`downward`](Self::downward), but not for a broken meta.
    pub fn downward_lossy(&self) -> Result<(Downward, Vec<Bytes>), DecodeError> {
        if self.known_command() == Ok(Command::Sync) {
            return self.sync_dl_lossy().map(|(sync, lost)| (Downward::Sync(sync), lost));
        }
        self.downward().map(|frame| (frame, Vec::new()))
    }

    /// Decodes the payload of a frame from a client, by command.
    ///
    /// # Errors
    ///
    /// As for [`downward`](Self::downward).
    pub fn upward(&self) -> Result<Upward, DecodeError> {
        Ok(match self.known_command() {
            Ok(Command::Sync) => Upward::Sync(Box::new(self.sync_ul()?)),
            Ok(Command::Unread) => Upward::Unread(self.unread_ul()?),
            Ok(Command::Provision) => Upward::Provision(Box::new(self.provision()?)),
            Ok(Command::Logout) => Upward::Logout(self.logout()?),
            Ok(Command::Notice) => Upward::Unknown(Command::Notice.into()),
            Err(number) => Upward::Unknown(number),
        })
    }

    /// Returns the command, or its number when this crate does not know it; a missing one reads as SYNC.
    ///
    /// # Errors
    ///
    /// The number of an unknown command.
    pub fn known_command(&self) -> Result<Command, i32> {
        let number = self.command.unwrap_or_default();
        Command::try_from(number).map_err(|_| number)
    }

    /// Like [`sync_dl`](Self::sync_dl), but drops only the metas that do not decode, and returns those as slices of the
    /// frame.
    ///
    /// # Errors
    ///
    /// As for [`downward`](Self::downward), but not for a broken meta.
    pub fn sync_dl_lossy(&self) -> Result<(CommSyncDl, Vec<Bytes>), DecodeError> {
        /// `CommSyncDl.metas`.
        const METAS: u32 = 4;

        let error = match self.sync_dl() {
            Ok(sync) => return Ok((sync, Vec::new())),
            Err(error @ DecodeError::Malformed { .. }) => error,
            Err(error) => return Err(error),
        };
        // The bound of a page that decodes holds for all its metas together.
        let mut left = MAX_FIELDS;
        let split = self.payload.as_ref().map_or(Ok(None), |payload| split_off(payload, METAS, &mut left))?;
        let Some((rest, metas)) = split else { return Err(error) };
        let mut sync: CommSyncDl = decode_within(&rest, &SYNC_DL, Layer::Payload, &mut left)?;
        let mut broken = Vec::new();
        for encoded in metas {
            match decode_within(&encoded, &META, Layer::Payload, &mut left) {
                Ok(meta) => sync.metas.push(meta),
                Err(DecodeError::Malformed { .. }) => broken.push(encoded),
                Err(error) => return Err(error),
            }
        }
        Ok((sync, broken))
    }

    fn payload_as<T: Mend>(&self, shape: &Shape) -> Result<T, DecodeError> {
        match self.compress_algorimth {
            None | Some(0) => {}
            Some(algorithm) => return Err(DecodeError::Compressed { algorithm }),
        }
        match &self.payload {
            Some(payload) => decode(payload, shape, Layer::Payload),
            None => Ok(T::default()),
        }
    }
}

macro_rules! payloads {
    ($($of:literal $name:ident: $payload:ty = $shape:ident;)+) => {
        impl MSync {
            $(
                #[doc = concat!("Decodes the payload of ", $of, ", whatever the command says.")]
                ///
                /// # Errors
                ///
                /// As for [`downward`](Self::downward).
                pub fn $name(&self) -> Result<$payload, DecodeError> {
                    self.payload_as(&$shape)
                }
            )+
        }
    };
}

payloads! {
    "a downward SYNC" sync_dl: CommSyncDl = SYNC_DL;
    "an upward SYNC" sync_ul: CommSyncUl = SYNC_UL;
    "a downward UNREAD" unread_dl: CommUnreadDl = UNREAD_DL;
    "an upward UNREAD" unread_ul: CommUnreadUl = FLAT;
    "a NOTICE" notice: CommNotice = FLAT;
    "a PROVISION in either direction" provision: Provision = PROVISION;
    "a LOGOUT in either direction" logout: Logout = LOGOUT;
}

/// Putting frames together.
impl MSync {
    /// Makes a frame from a client: version 0, the command, one `ENCRYPT_NONE`.
    #[must_use]
    pub fn from_client(command: Command, payload: &impl Message) -> Self {
        MSync { encrypt_type: vec![EncryptType::EncryptNone.into()], ..Self::from_server(command, payload) }
    }

    /// Makes a frame from a server: version 0 and the command.
    #[must_use]
    pub fn from_server(command: Command, payload: &impl Message) -> Self {
        MSync {
            version: Some(Version::MsyncV1.into()),
            command: Some(command.into()),
            payload: Some(encode(payload)),
            ..MSync::default()
        }
    }

    /// Makes the PROVISION of a client: `own` is the full address of the device, `token` is without its prefix.
    #[must_use]
    pub fn client_provision(own: Jid, token: &str, provision: &Provision) -> Self {
        Self::from_client(Command::Provision, provision).identified(own, token)
    }

    /// Makes the LOGOUT of a client: `own` is the full address of the device, `token` is without its prefix.
    #[must_use]
    pub fn client_logout(own: Jid, token: &str, logout: &Logout) -> Self {
        Self::from_client(Command::Logout, logout).identified(own, token)
    }

    /// A send or a pull.
    #[must_use]
    pub fn client_sync(sync: &CommSyncUl) -> Self {
        Self::from_client(Command::Sync, sync)
    }

    /// Makes the heartbeat, which has no payload.
    #[must_use]
    pub fn client_unread() -> Self {
        MSync { payload: None, ..Self::from_client(Command::Unread, &CommUnreadUl {}) }
    }

    /// Encodes the frame as the bytes of one WebSocket message.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        encode(self)
    }

    fn identified(self, own: Jid, token: &str) -> Self {
        MSync { guid: Some(own), auth: Some(format!("{TOKEN_PREFIX}{token}")), device_id: Some(0), ..self }
    }
}

impl CommSyncUl {
    /// Makes the send of one message.
    #[must_use]
    pub fn send(meta: Meta) -> Self {
        CommSyncUl { meta: Some(meta), ..CommSyncUl::default() }
    }

    /// Makes the pull of a queue, from its beginning or from the cursor `key` on.
    #[must_use]
    pub fn pull(queue: Jid, key: Option<u64>) -> Self {
        CommSyncUl { queue: Some(queue), key, ..CommSyncUl::default() }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{MAX_FIELDS, MSync, encode};
    use crate::wire::{CommSyncDl, DecodeError, Jid, Layer, Meta, msync::Command};

    #[test]
    fn a_meta_that_does_not_decode_costs_only_itself() {
        let meta = |id| Meta { id: Some(id), ..Meta::default() };
        let batch = CommSyncDl {
            metas: vec![meta(1), meta(2), meta(3), meta(4)],
            next_key: Some(9),
            queue: Some(Jid::user("o#a", "bob")),
            ..CommSyncDl::default()
        };
        let whole = encode(&batch);
        // Meta 3 is the two bytes `08 03`; a wire type that does not exist breaks it without moving its end.
        let at = whole.windows(4).position(|bytes| bytes == [0x22, 0x02, 0x08, 0x03]).unwrap();
        let mut broken = whole.to_vec();
        broken[at + 2] = 0x0f;
        let frame = MSync { payload: Some(Bytes::from(broken)), ..MSync::from_server(Command::Sync, &batch) };
        assert!(frame.sync_dl().is_err());
        let (lossy, raw) = frame.sync_dl_lossy().unwrap();
        assert_eq!(raw, [&[0x0f, 0x03][..]]);
        assert_eq!(lossy.metas.iter().filter_map(|meta| meta.id).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!((lossy.next_key, lossy.queue), (Some(9), batch.queue));
    }

    #[test]
    fn a_batch_whose_own_structure_is_broken_is_lost_whole() {
        let payload = Some(Bytes::from_static(&[0x22, 0x7f, 0x08]));
        let frame = MSync { payload, ..MSync::default() };
        assert!(frame.sync_dl_lossy().is_err());
    }

    #[test]
    fn a_broken_meta_lets_a_batch_have_no_more_fields_than_before() {
        let lossy = |metas: usize| {
            let payload = [&[0x22, 1, 0xff][..], &[0x22, 0].repeat(metas)].concat();
            MSync { payload: Some(payload.into()), ..MSync::default() }.sync_dl_lossy()
        };
        let (batch, broken) = lossy(MAX_FIELDS - 2).unwrap();
        assert_eq!((batch.metas.len(), broken.len()), (MAX_FIELDS - 2, 1));
        assert_eq!(lossy(MAX_FIELDS - 1), Err(DecodeError::TooManyFields { layer: Layer::Payload }));
    }
}
