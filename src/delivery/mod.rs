//! The message handler's contract: a page of a queue is acknowledged after its messages were handled.

mod dead_letter;
mod dead_letters;
mod file_dead_letters;
mod handler;
mod page_task;
mod retries;
mod slot;
#[cfg(test)]
mod tests;

pub use dead_letter::{DeadLetter, DeadLetterError, DeadLetterFuture, DeadLetterStore};
pub use dead_letters::{DeadLetters, Replayed};
pub use file_dead_letters::{FileDeadLetters, LetterId, StoredLetter};
pub use handler::{Delivery, HandlerError, MessageHandler};
pub(crate) use page_task::{PageOutcome, PageProgress, PageTask};
pub(crate) use retries::Retries;
pub(crate) use slot::Slot;
