//! The kinds of events: one row of the table [`events!`] for each.

use std::{fmt, ops::BitOr, sync::Arc, time::Duration};

use crate::{
    model::{
        error::{DisconnectReason, LossCause, SendError},
        message::{Claims, Message},
        notice::{
            ContactEvent, DeviceEvent, Edit, MucEvent, PinEvent, PresenceEvent, ReactionEvent, Recall, Receipt,
            ThreadEvent, UnknownNotice,
        },
    },
    util::weight::Weigh,
};

/// Expands a macro over the table of all kinds of events. A row has, in this order:
///
/// 1. the variant of [`EventKind`] with its docs; a value in parentheses has a name for the columns below;
/// 2. its [`Class`], and its constant of [`EventMask`]. The row that defines the constant gives its bit, and what its
///    doc adds;
/// 3. the setter of [`EventHandler`](crate::handlers::EventHandler), with what the closure gets besides the event, and
///    the same in words;
/// 4. where it can be forged, the claims of its sender.
macro_rules! events {
    ($expand:ident) => {
        $expand! {
            /// The server accepted the login, for the first time or again; messages that waited there follow.
            Connected {
                /// `false` for a login by `open`, `true` when a lost link came back by itself.
                resumed: bool,
            }
            Control CONNECTED = 0
            on_connected();

            /// The link is lost, or an attempt to regain it failed, and the client will try again by itself.
            ///
            /// Once before each attempt. Messages sent meanwhile are kept for the next link; see
            /// [`Connection::send`](crate::Connection::send).
            Reconnecting {
                /// The attempt that comes next, from 1, counted since the link last held for `Reconnect::stable_after`.
                attempt: u32,
                /// The pause before it.
                delay: Duration,
                /// The reason.
                cause: LossCause,
            }
            Ordinary RECONNECTING = 1
            on_reconnecting(attempt: u32 = *attempt, delay: Duration = *delay, cause: &LossCause = cause)
            with "the number of the attempt, the pause before it, and why";

            /// The session ended and the client will **not** try again by itself; `open` may be called again.
            ///
            /// Asked, kicked, refused, the token's end, or attempts used up. Also for a login that the server refused
            /// or that `close` ended, besides the error of `open`; not for one that failed before the server's answer.
            Disconnected {
                /// The reason.
                reason: DisconnectReason,
            }
            Control DISCONNECTED = 2
            on_disconnected(reason: &DisconnectReason = reason)
            with "why";

            /// Four fifths of the token's life have passed (connection spec §10); once per token. Time for
            /// [`Connection::renew_token`](crate::Connection::renew_token), unless the session renews by itself: with a
            /// password or a [`TokenProvider`](crate::TokenProvider) this is news only.
            TokenWillExpire {
                /// When it ends, in milliseconds since 1970 by the server's clock.
                at: u64,
                /// The time left until then.
                expires_in: Duration,
            }
            Control TOKEN_WILL_EXPIRE = 3
            on_token_will_expire(expires_in: Duration = *expires_in)
            with "what is left of the token's life";

            /// The link comes and goes: too many sessions were short, so every pause now has a floor.
            ///
            /// Published once until a session has held. Two programs that use one account with one resource look like
            /// this.
            Flapping {
                /// The number of short sessions.
                sessions: u32,
                /// Within what time.
                window: Duration,
                /// The least pause from now on.
                floor: Duration,
            }
            Control FLAPPING = 6
            on_flapping(floor: Duration = *floor)
            with "the pause that is now the shortest";

            /// The token has run out, or was refused as expired on the way back, and nobody gives another: the login
            /// was by token alone, or the password or the provider has said its last word. `Disconnected` follows.
            ///
            /// Not said while a new token can still be got: the session then outlives its token, and on the way back
            /// [`Reconnecting`](EventKind::Reconnecting) tells of each attempt that got none.
            TokenExpired
            Control TOKEN_EXPIRED = 4
            on_token_expired();

            /// A message for the user, or one of the user's own from another device.
            Message(message: Message)
            Inbound MESSAGE = 5
            on_message(message: &Message = message)
            claims message.extras.as_ref().and_then(|extras| extras.claims.as_deref());

            /// Messages arrived at their recipient, or were read.
            Receipt(receipt: Receipt)
            Inbound RECEIPT = 7
            on_receipt(receipt: &Receipt = receipt)
            claims receipt.claims.as_deref();

            /// A message was taken back.
            Recalled(recall: Recall)
            Inbound RECALLED = 8
            on_recalled(recall: &Recall = recall)
            claims recall.claims.as_deref();

            /// A message was edited.
            Edited(edit: Box<Edit>)
            Inbound EDITED = 9
            on_edited(edit: &Edit = edit)
            claims edit.message.extras().claims.as_deref();

            /// Something happened in a group.
            Group(group: Box<MucEvent>)
            Inbound GROUP = 10
            on_group(group: &MucEvent = group)
            claims group.claims.as_deref();

            /// Something happened in a chat room.
            Room(room: Box<MucEvent>)
            Inbound ROOM = 11 " and [`EventKind::RoomLost`]"
            on_room(room: &MucEvent = room)
            claims room.claims.as_deref();

            /// The link came back, and the account is not in this chat room any more: it was not joined again.
            ///
            /// [`join_room`](crate::Connection::join_room) joins it anew. Not said with
            /// [`ConfigBuilder::rejoin_rooms`](crate::ConfigBuilder::rejoin_rooms) off, nor of a room that was
            /// destroyed or that the account was removed from: [`Room`](EventKind::Room) tells of those.
            RoomLost {
                /// The room's id.
                room: Arc<str>,
                /// The error of rejoining, which is an unknown outcome where two tries were not answered; `None` where
                /// more than 64 rooms had been joined.
                error: Option<SendError>,
            }
            Control ROOM
            on_room_lost(room: &str = room, error: Option<&SendError> = error.as_ref())
            with "the room's id and what came of joining it again";

            /// Something happened to a thread.
            Thread(thread: Box<ThreadEvent>)
            Inbound THREAD = 12
            on_thread(thread: &ThreadEvent = thread)
            claims thread.claims.as_deref();

            /// Something happened to the account's contacts.
            Contact(contact: ContactEvent)
            Inbound CONTACT = 13
            on_contact(contact: &ContactEvent = contact)
            claims contact.claims.as_deref();

            /// Users that this account subscribed to came, went or say something else about themselves.
            Presence(presence: PresenceEvent)
            Inbound PRESENCE = 14
            on_presence(presence: &PresenceEvent = presence)
            claims presence.claims.as_deref();

            /// Reactions to messages changed.
            Reaction(reaction: ReactionEvent)
            Inbound REACTION = 15
            on_reaction(reaction: &ReactionEvent = reaction)
            claims reaction.claims.as_deref();

            /// A message was pinned, or is pinned no more.
            Pinned(pin: PinEvent)
            Inbound PINNED = 16
            on_pinned(pin: &PinEvent = pin)
            claims pin.claims.as_deref();

            /// The account did something on another of its devices.
            Device(device: Box<DeviceEvent>)
            Inbound DEVICE = 17
            on_device(device: &DeviceEvent = device)
            claims device.claims.as_deref();

            /// Messages waited on the server while this client was away, and are now fetched.
            ///
            /// [`OfflineSyncFinished`](EventKind::OfflineSyncFinished) follows each of these.
            OfflineSyncStarted {
                /// Queues that hold some.
                queues: usize,
                /// Messages waiting in them, as far as the server says.
                messages: u64,
            }
            Control OFFLINE_SYNC = 18 " and [`EventKind::OfflineSyncFinished`]"
            on_offline_sync_started(queues: usize = *queues, messages: u64 = *messages)
            with "how many queues hold how many messages";

            /// The messages that waited are all delivered (and handled, where there is a
            /// [message handler](crate::MessageHandler)), or fetching them was cut short.
            OfflineSyncFinished {
                /// Queues fetched to their end.
                queues: usize,
                /// Messages they held.
                messages: u64,
                /// Set if all announced queues were fetched and handled; others are announced or retried again.
                complete: bool,
            }
            Control OFFLINE_SYNC
            on_offline_sync_finished(queues: usize = *queues, messages: u64 = *messages, complete: bool = *complete)
            with "how many queues held how many messages, and whether all were fetched";

            /// Something this release does not take apart, as it came.
            Unknown(notice: UnknownNotice)
            Inbound UNKNOWN = 19
            on_unknown(notice: &UnknownNotice = notice);

            /// This subscriber could not keep up: events of this account were not delivered to it.
            ///
            /// Sent only to the subscriber concerned, once per episode and account, where the events are missing.
            Missed {
                /// Events of the account missed in this episode.
                count: u64,
            }
            Ordinary NONE
            on_missed(count: u64 = *count)
            with "how many events of the account these closures missed";
        }
    };
}

pub(crate) use events;

/// Class of an event: decides who gets it, and whether it may be missed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Tells what became of the session; never missed.
    Control,
    /// Comes out of the account's queues on the server.
    Inbound,
    /// Neither.
    Ordinary,
}

macro_rules! define {
    ($(
        $(#[$doc:meta])*
        $kind:ident $(($value:ident: $value_type:ty))? $({
            $($(#[$field_doc:meta])* $field:ident: $field_type:ty,)*
        })?
        $class:ident $mask:ident $(= $bit:literal $($also:literal)?)?
        $on:ident($($arg:ident: $arg_type:ty = $arg_value:expr),*) $(with $with:literal)? $(claims $claims:expr)?;
    )*) => {
        /// The change.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum EventKind {
            $($(#[$doc])* $kind $(($value_type))? $({ $($(#[$field_doc])* $field: $field_type,)* })?,)*
        }

        impl EventKind {
            /// Returns the bit of this kind; [`EventMask::NONE`] for [`EventKind::Missed`].
            #[must_use]
            pub const fn mask(&self) -> EventMask {
                match self {
                    $(EventKind::$kind { .. } => EventMask::$mask,)*
                }
            }

            /// Returns the name of the variant.
            ///
            /// ```
            /// assert_eq!(agora_chat::EventKind::TokenExpired.name(), "TokenExpired");
            /// ```
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(EventKind::$kind { .. } => stringify!($kind),)*
                }
            }

            const fn class(&self) -> Class {
                match self {
                    $(EventKind::$kind { .. } => Class::$class,)*
                }
            }

            /// Returns what the sender's own part of it says of the sender or the conversation, where the service says
            /// otherwise: somebody pretends to be somebody else. `None` for what has no such part, and for all that is
            /// honest.
            ///
            /// ```
            /// use agora_chat::Event;
            /// fn is_to_be_obeyed(event: &Event) -> bool {
            ///     event.kind().claims().is_none()
            /// }
            /// ```
            #[must_use]
            #[allow(unused_variables, reason = "most rows name values for their other columns")]
            pub fn claims(&self) -> Option<&Claims> {
                match self {
                    $(EventKind::$kind $(($value))? $({ $($field,)* })? => None$(.or($claims))?,)*
                }
            }
        }

        impl Weigh for EventKind {
            fn heap(&self) -> usize {
                match self {
                    $(EventKind::$kind $(($value))? $({ $($field,)* })? => {
                        0_usize $(.saturating_add($value.heap()))? $($(.saturating_add($field.heap()))*)?
                    })*
                }
            }
        }

        impl EventMask {
            $($(
                #[doc = concat!("[`EventKind::", stringify!($kind), "`]", $($also)?)]
                pub const $mask: EventMask = EventMask(1 << $bit);
            )?)*

            /// Every kind that comes out of the account's queues on the server.
            pub const INBOUND: EventMask = EventMask(0 $(| Class::$class.bits_if_inbound(EventMask::$mask))*);

            /// The constants of one kind or a few, with their names.
            const NAMES: &[(EventMask, &str)] = &[$($((EventMask(1 << $bit), stringify!($mask)),)?)*];
        }
    };
}

events!(define);

impl Class {
    const fn bits_if_inbound(self, mask: EventMask) -> u32 {
        if matches!(self, Class::Inbound) { mask.0 } else { 0 }
    }
}

impl EventKind {
    /// Returns whether a handler of these kinds is offered it: one of messages also gets what cannot be read.
    pub(crate) fn is_offered_to(&self, asked: EventMask) -> bool {
        let unreadable = matches!(self, EventKind::Unknown(notice) if notice.unreadable);
        asked.contains(self.mask()) || (unreadable && asked.contains(EventMask::MESSAGE))
    }

    /// Returns whether this is a control event: one that says what became of the session, which is never missed. See
    /// [the module of subscribers](crate::handlers#control-events).
    ///
    /// `Connected`, `Disconnected`, `TokenWillExpire`, `TokenExpired`, `Flapping`, `RoomLost`, `OfflineSyncStarted` and
    /// `OfflineSyncFinished`. Not `Reconnecting`, which comes again before each attempt.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        matches!(self.class(), Class::Control)
    }
}

/// A set of kinds of events: a subscriber's interest.
///
/// ```
/// use agora_chat::EventMask;
/// let wanted = EventMask::CONNECTED | EventMask::DISCONNECTED;
/// assert!(wanted.contains(EventMask::CONNECTED));
/// assert!(!wanted.contains(EventMask::MESSAGE));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventMask(u32);

impl EventMask {
    /// No event.
    pub const NONE: EventMask = EventMask(0);
    /// Every event, also those of later releases. [`EventKind::Missed`] needs no bit.
    pub const ALL: EventMask = EventMask(u32::MAX);

    /// Returns whether every kind of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: EventMask) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether any kind of `other` is in this set.
    #[must_use]
    pub const fn intersects(self, other: EventMask) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns the set as bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Makes a set from bits.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        EventMask(bits)
    }
}

impl BitOr for EventMask {
    type Output = EventMask;

    fn bitor(self, other: EventMask) -> EventMask {
        EventMask(self.0 | other.0)
    }
}

impl fmt::Debug for EventMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventMask(")?;
        let mut rest = self.0;
        match *self {
            EventMask::ALL => f.write_str("ALL")?,
            EventMask::NONE => f.write_str("NONE")?,
            _ => {
                for (mask, name) in Self::NAMES.iter().filter(|(mask, _)| self.contains(*mask)) {
                    f.write_str(if rest == self.0 { "" } else { " | " })?;
                    f.write_str(name)?;
                    rest &= !mask.0;
                }
                // Bits of a later release.
                if rest != 0 {
                    write!(f, "{}{rest:#x}", if rest == self.0 { "" } else { " | " })?;
                }
            }
        }
        f.write_str(")")
    }
}

// An event lives in one allocation; what is rare and large stands in a box of its own.
const _: () = assert!(size_of::<Message>() <= 160 && size_of::<EventKind>() <= 168);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mask_has_a_bit_of_its_own_and_its_name() {
        let mut all = 0;
        for (mask, name) in EventMask::NAMES {
            assert_eq!((all & mask.bits(), mask.bits().count_ones()), (0, 1), "{name}");
            all |= mask.bits();
            assert_eq!(format!("{mask:?}"), format!("EventMask({name})"));
        }
        assert_eq!(all, (1 << 20) - 1);
        let several = EventMask::MESSAGE | EventMask::CONNECTED | EventMask::from_bits(1 << 31);
        assert_eq!(format!("{several:?}"), "EventMask(CONNECTED | MESSAGE | 0x80000000)");
        assert_eq!(format!("{:?} {:?}", EventMask::NONE, EventMask::ALL), "EventMask(NONE) EventMask(ALL)");
    }

    #[test]
    fn inbound_is_what_the_queues_hold() {
        let session = EventMask::CONNECTED
            | EventMask::RECONNECTING
            | EventMask::DISCONNECTED
            | EventMask::TOKEN_WILL_EXPIRE
            | EventMask::TOKEN_EXPIRED
            | EventMask::FLAPPING
            | EventMask::OFFLINE_SYNC;
        assert_eq!(EventMask::INBOUND.bits(), !session.bits() & ((1 << 20) - 1));
    }

    #[test]
    fn control_events_are_those_of_the_session() {
        let control = [
            EventKind::Connected { resumed: true },
            EventKind::Disconnected { reason: DisconnectReason::Closed },
            EventKind::TokenWillExpire { at: 0, expires_in: Duration::ZERO },
            EventKind::TokenExpired,
            EventKind::Flapping { sessions: 1, window: Duration::ZERO, floor: Duration::ZERO },
            EventKind::RoomLost { room: "1".into(), error: None },
            EventKind::OfflineSyncStarted { queues: 1, messages: 1 },
            EventKind::OfflineSyncFinished { queues: 1, messages: 1, complete: true },
        ];
        assert!(control.iter().all(EventKind::is_control));
        let others = [
            EventKind::Reconnecting { attempt: 1, delay: Duration::ZERO, cause: LossCause::Ended },
            EventKind::Missed { count: 1 },
        ];
        assert!(!others.iter().any(EventKind::is_control));
    }
}
