//! Names of queues.

use crate::wire::Jid;

/// Returns the name of a queue in a cursor.
pub(crate) fn queue_name(queue: &Jid) -> String {
    let escaped = |part: &str| part.replace('%', "%25").replace('/', "%2f");
    format!("{}/{}/{}", escaped(queue.domain()), escaped(queue.app_key()), queue.name())
}
