use std::sync::Arc;

use super::ChatType;
use crate::util::weight::weigh;

/// A message's claims about its own sender and conversation, where the service disagrees.
///
/// A message names its sender twice: the service does, and so does the part that the sender wrote. This crate goes by
/// the service. Where the other part says something else, somebody pretends: the first time is a WARN, further ones are
/// counted and logged at most once in 10 minutes, and each event [has it](crate::EventKind::claims). Nothing here may
/// be believed.
///
/// Letter case, a device behind the name (`bob/phone`) and the long form `org#app_bob@easemob.com` make no difference.
///
/// ```
/// use agora_chat::Message;
/// fn is_honest(message: &Message) -> bool {
///     message.extras().claims.is_none()
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// The claimed sender; `None` where it agrees with the service. Cut at [`Claims::MAX_CHARS`] characters.
    pub from: Option<Arc<str>>,
    /// Whom or which group it says it is for; `None` where it agrees. Cut like `from`.
    pub to: Option<Arc<str>>,
    /// The kind of conversation it says it is in; `None` where it agrees.
    pub chat: Option<ChatType>,
}

impl Claims {
    /// The most characters stored of a name; no real name is longer.
    pub const MAX_CHARS: usize = 64;

    pub(super) fn new(from: Option<&str>, to: Option<&str>, chat: Option<ChatType>) -> Self {
        Claims { from: from.map(cut), to: to.map(cut), chat }
    }
}

weigh! { Claims { from, to, chat } }

pub(crate) fn cut(name: &str) -> Arc<str> {
    let end = name.char_indices().nth(Claims::MAX_CHARS).map_or(name.len(), |(at, _)| at);
    Arc::from(name.get(..end).unwrap_or_default())
}
