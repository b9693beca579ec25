//! The commands on stdin.

use agora_chat::{LogLevel, account::Token};
use serde_json::{Value, json};

use super::{
    lines::Line,
    tell::{Failure, Told, failed, plain},
};

/// The commands, each with what it does.
pub(crate) const COMMANDS: [(&str, &str); 10] = [
    ("send USER TEXT", "send a text"),
    ("cmd USER ACTION", "send a command message"),
    ("renew TOKEN", "give the session its next token"),
    ("state", "tell the state of the connection"),
    ("level [LEVEL]", "tell the log's level, or set it"),
    ("enable-all", "log everything"),
    ("disable-all", "log nothing"),
    ("help", "tell the commands"),
    ("close", "log out at once and end"),
    ("quit", "log out and end once the commands before it are done"),
];

/// The longest line, in bytes: as much as the service takes in a message.
pub(crate) const LONGEST: usize = 4 << 20;

/// The longest `ID` of a command, in bytes.
const LONGEST_ID: usize = 256;

/// A command, with the `ID` its answer is told under.
#[derive(Debug)]
pub(crate) struct Command<W = What> {
    pub(crate) what: W,
    pub(crate) asked: Asked,
    /// How long the line was.
    pub(crate) bytes: usize,
}

/// What an answer repeats of its command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    id: Option<String>,
    to: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum What {
    /// It waits for the login.
    Ask(Ask),
    State,
    /// Tells the level.
    Level,
    SetLevel(LogLevel),
    Help,
    Close,
    Quit,
}

/// What the service has a part in.
#[derive(Debug, PartialEq)]
pub(crate) enum Ask {
    Send { to: String, text: String },
    Cmd { to: String, action: String },
    Renew(Token),
}

impl Asked {
    /// Puts the command's `ID` and recipient into its answer.
    pub(crate) fn answered(&self, (mut object, mut sentence): Told) -> Told {
        if let Value::Object(members) = &mut object {
            for (member, value) in [("id", &self.id), ("to", &self.to)] {
                if let Some(value) = value {
                    members.insert(member.to_owned(), json!(value));
                }
            }
        }
        if let Some(id) = &self.id {
            sentence = format!("[{id}] {sentence}");
        }
        (object, sentence)
    }
}

/// Reads a command; `Ok(None)` is an empty line, and an error its answer.
pub(crate) fn parse(line: Line) -> Result<Option<Command>, Told> {
    let (line, fault) = match line {
        Line::Text(line) => (line, None),
        Line::Broken(line) => (line, Some("the line is not UTF-8, so nothing was done".to_owned())),
        Line::TooLong(line) => (line, Some(format!("the line is longer than {LONGEST} bytes, so nothing was done"))),
    };
    let (mut asked, bytes) = (Asked::default(), line.len());
    let mut rest = line.trim_start();
    if let Some(marked) = rest.strip_prefix('@') {
        let (id, command) = marked.split_once(char::is_whitespace).unwrap_or((marked, ""));
        // What is broken is not repeated as if it had been read.
        if !id.is_empty() && id.len() <= LONGEST_ID && (fault.is_none() || !id.contains('\u{fffd}')) {
            asked.id = Some(id.to_owned());
        }
        rest = command.trim_start();
        if fault.is_none() && asked.id.is_none() {
            return Err(failed(plain(format!("`@` takes an ID of 1 to {LONGEST_ID} bytes and a command"))));
        }
        if fault.is_none() && rest.is_empty() {
            return Err(asked.answered(failed(plain("a command follows `@ID`; see `help`"))));
        }
    }
    if let Some(fault) = fault {
        return Err(asked.answered(failed(plain(fault))));
    }
    if rest.is_empty() {
        return Ok(None);
    }
    let what = read(rest, &mut asked).map_err(|failure| asked.answered(failed(failure)))?;
    Ok(Some(Command { what, asked, bytes }))
}

fn read(command: &str, asked: &mut Asked) -> Result<What, Failure> {
    let (verb, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let nothing = |what: What| match rest.trim() {
        "" => Ok(what),
        _ => Err(plain(format!("`{verb}` stands alone; nothing was done"))),
    };
    // The text goes out as it stands; what is before it does not count.
    let mut addressed = |usage: &str| {
        let (to, text) = rest.trim_start().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        asked.to = Some(to.to_owned()).filter(|to| !to.is_empty());
        if to.is_empty() || text.trim().is_empty() {
            return Err(plain(format!("the command is `{usage}`; nothing was sent")));
        }
        Ok((to.to_owned(), text.to_owned()))
    };
    match verb {
        "send" => addressed("send USER TEXT").map(|(to, text)| What::Ask(Ask::Send { to, text })),
        "cmd" => addressed("cmd USER ACTION").map(|(to, action)| What::Ask(Ask::Cmd { to, action })),
        "renew" => match rest.trim() {
            "" => Err(plain("the command is `renew TOKEN`; nothing was done")),
            token => Token::new(token).map(|token| What::Ask(Ask::Renew(token))).map_err(plain),
        },
        "level" => match rest.trim() {
            "" => Ok(What::Level),
            level => level.parse().map(What::SetLevel).map_err(plain),
        },
        "enable-all" => nothing(What::SetLevel(LogLevel::Trace)),
        "disable-all" => nothing(What::SetLevel(LogLevel::Silent)),
        "state" => nothing(What::State),
        "help" => nothing(What::Help),
        "close" => nothing(What::Close),
        "quit" => nothing(What::Quit),
        _ => Err(plain(format!("`{}` is no command; see `help`", shortened(verb)))),
    }
}

/// What somebody else wrote, not at any length.
fn shortened(verb: &str) -> String {
    match verb.char_indices().nth(64) {
        Some((at, _)) => format!("{}…", verb.get(..at).unwrap_or_default()),
        None => verb.to_owned(),
    }
}

/// The answer to `help`.
pub(crate) fn help() -> Told {
    let commands: Vec<_> = COMMANDS.iter().map(|(usage, does)| json!({"usage": usage, "does": does})).collect();
    let words: Vec<_> = COMMANDS.iter().map(|(usage, does)| format!("{usage}: {does}")).collect();
    let sentence = format!("Commands: {}. `@ID ` before one has its answer carry the ID.", words.join("; "));
    (json!({"event": "help", "commands": commands}), sentence)
}
