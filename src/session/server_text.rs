//! The one door for texts that a server writes on the socket: cut before anything looks at them, and without the session's
//! secrets where they are shown. What they mean is decided by the text as it came.

use super::Input;
use crate::session::machine::Session;
use crate::{
    model::{
        error::{LossCause, TokenError},
        redactor::bounded,
        server_text::ServerText,
    },
    wire::{Downward, Status},
};

/// The longest text shown, in characters; the rest gives way to a mark.
pub(super) const LONGEST: usize = 512;

/// The longest extension of the login that kicked this device, in characters: no login may send a longer one.
pub(super) const LONGEST_EXT: usize = 1024;

impl Session {
    /// A text that the server wrote, as it may be shown.
    pub(super) fn shown(&self, text: String) -> String {
        self.redactor.taken_in(text, LONGEST)
    }

    /// A text that the application may need as it is.
    pub(super) fn whole(&self, text: String, longest: usize) -> ServerText {
        ServerText::new(self.redactor.whole(text, longest), &self.redactor)
    }

    /// Bounds the texts of a frame, before anything is decided by them.
    pub(super) fn take_texts_in(frame: &mut Downward) {
        let status: Option<&mut Status> = match frame {
            Downward::Sync(sync) => sync.status.as_mut(),
            Downward::Unread(unread) => unread.status.as_mut(),
            Downward::Provision(answer) => answer.status.as_mut(),
            Downward::Logout(answer) => answer.status.as_mut(),
            _ => None,
        };
        if let Some(reason) = status.and_then(|status| status.reason.as_mut()) {
            bounded(reason, LONGEST);
        }
    }

    /// Takes the texts in that come by other ways: why a link was lost, and why a call failed.
    pub(super) fn take_words_in(&self, input: &mut Input<'_>) {
        match input {
            Input::Lost(cause) => {
                *cause = std::mem::replace(cause, LossCause::ClosedHere).shown_by(&self.redactor);
            }
            Input::Discovered(Err(error)) | Input::TokenFetched(Err(error)) => error.hide(&self.redactor),
            Input::TokenProvided(Err(TokenError::Rest(error))) => error.hide(&self.redactor),
            _ => {}
        }
    }
}
