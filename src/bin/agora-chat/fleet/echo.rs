//! The bot that answers every text with itself.

use agora_chat::{
    Delivery, MessageHandler, Outgoing, SendError,
    delivery::FileDeadLetters,
    fleet::{AccountHandle, FleetError},
    messages::Ext,
};

/// The extension that marks an answer, so that two bots do not answer each other for ever.
pub(crate) const MARK: &str = "agora_chat_echo";

/// Returns the message handler of an account.
pub(crate) fn handler(account: &AccountHandle, letters: FileDeadLetters) -> MessageHandler {
    let account = account.clone();
    MessageHandler::new(move |delivery| answer(account.clone(), delivery)).dead_letter_store(letters)
}

/// Answers a text. An error has it tried again, and makes it a dead letter at last.
async fn answer(account: AccountHandle, delivery: Delivery) -> Result<(), FleetError> {
    let Some(message) = delivery.message().filter(|message| !message.own && &*message.from != account.user().as_str())
    else {
        return Ok(());
    };
    let Some(text) = message.text() else { return Ok(()) };
    if message.ext.get(MARK).is_some() {
        return Ok(());
    }
    let failed = |error: SendError| FleetError::Send { user: account.user().clone(), error };

    let mut echo = Outgoing::text(message.conversation(), text).map_err(failed)?.ext(Ext::new().with(MARK, true));
    // Under one id for all attempts, so that an answer of which nobody knows whether it went out arrives once.
    if message.id != 0 {
        echo = echo.with_client_id(message.id);
    }
    account.send(echo).await.map(drop)
}
